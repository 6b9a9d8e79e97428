import java.io.File;
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.Collections;
import javax.net.ssl.SNIHostName;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.TrustManagerFactory;

/** One handshake with HTTPS endpoint identification, and its outcome as a line of JSON. */
public class Handshake {
    public static void main(String[] a) {
        SSLContext context;
        try {
            context = a[5].equals("system") ? SSLContext.getDefault() : trusting(a[6], a[7]);
        } catch (Exception e) {
            // Without anchors nothing is trusted.
            say("refused", innermost(e), words(e));
            return;
        }
        try {
            handshake(context, a[0], Integer.parseInt(a[1]), a[2], a[3], Integer.parseInt(a[4]) * 1000);
            say("trusted", null, "");
        } catch (Exception e) {
            // The exceptions of certificates, paths and signatures are all of this class; those of connections and of TLS are not.
            boolean judged = false;
            for (Throwable t = e; t != null; t = t.getCause()) judged |= t instanceof GeneralSecurityException;
            say(judged ? "refused" : "unasked", judged ? innermost(e) : null, words(e));
        }
    }

    static String innermost(Throwable t) {
        while (t.getCause() != null) t = t.getCause();
        return t.getClass().getSimpleName();
    }

    static String words(Throwable e) {
        StringBuilder text = new StringBuilder();
        for (Throwable t = e; t != null; t = t.getCause()) {
            text.append(text.length() > 0 ? " | " : "").append(t.getClass().getSimpleName()).append(": ").append(t.getMessage());
        }
        return text.toString();
    }

    static void handshake(SSLContext context, String host, int port, String name, String servername, int millis) throws Exception {
        try (Socket raw = new Socket()) {
            raw.connect(new InetSocketAddress(host, port), millis);
            raw.setSoTimeout(millis);
            SSLSocket socket = (SSLSocket) context.getSocketFactory().createSocket(raw, name, port, true);
            SSLParameters parameters = socket.getSSLParameters();
            parameters.setEndpointIdentificationAlgorithm("HTTPS");
            parameters.setServerNames(servername.isEmpty()
                ? Collections.emptyList() : Collections.singletonList(new SNIHostName(servername)));
            socket.setSSLParameters(parameters);
            socket.startHandshake();
        }
    }

    static SSLContext trusting(String file, String directory) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        if (!file.isEmpty()) add(store, new File(file));
        File[] files = directory.isEmpty() ? null : new File(directory).listFiles(File::isFile);
        if (files != null) {
            Arrays.sort(files);
            for (File each : files) {
                try {
                    add(store, each);
                } catch (GeneralSecurityException e) {
                    // A directory may hold other things than certificates.
                }
            }
        }
        TrustManagerFactory factory = TrustManagerFactory.getInstance("PKIX");
        factory.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, factory.getTrustManagers(), null);
        return context;
    }

    static void add(KeyStore store, File file) throws Exception {
        try (InputStream in = new FileInputStream(file)) {
            for (Certificate each : CertificateFactory.getInstance("X.509").generateCertificates(in)) {
                store.setCertificateEntry("anchor" + store.size(), each);
            }
        }
    }

    static void say(String verdict, String code, String text) {
        System.out.println("{\"verdict\":" + quoted(verdict) + ",\"code\":" + quoted(code) + ",\"text\":" + quoted(text) + "}");
    }

    static String quoted(String text) {
        if (text == null) return "null";
        StringBuilder out = new StringBuilder("\"");
        for (char c : text.toCharArray()) {
            if (c == '"' || c == '\\') out.append('\\').append(c);
            else out.append(c < ' ' ? ' ' : c);
        }
        return out.append('"').toString();
    }
}

"""Programs timed side by side: interleaved runs, wall and CPU time of each with all that it started."""
import dataclasses
import os
import statistics
import subprocess
import time
import typing


@dataclasses.dataclass
class Contender:
    """One program in a comparison.

    runs: how often it is measured. prepare: done before each run, unmeasured. expects: judges the output of an unmeasured first run,
    given as text, and says what is wrong with it, so that a program that does nothing isn't taken for a fast one.
    """
    name: str
    argv: list
    runs: int = 20
    prepare: typing.Callable = lambda: None
    expects: typing.Callable = lambda out: None
    statuses: tuple = (0,)
    wall: list = dataclasses.field(default_factory=list)
    cpu: list = dataclasses.field(default_factory=list)
    # Bytes at the most, of the largest process.
    resident: int = 0
    failure: str = ""

    def try_once(self, env):
        self.prepare()
        try:
            done = subprocess.run(self.argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", env=env)
        except OSError as e:
            self.failure = "not installed (%s)" % e.strerror
            return
        if done.returncode not in self.statuses:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            self.failure = "failed: exit status %d%s" % (done.returncode, ", " + said[0] if said else "")
        else:
            wrong = self.expects(done.stdout)
            self.failure = "failed: " + wrong if wrong else ""

    def run_once(self, env, nothing):
        self.prepare()
        redirect = [(os.POSIX_SPAWN_DUP2, nothing, n) for n in (0, 1, 2)]
        started = time.perf_counter()
        # posix_spawn, because a fork of this interpreter would cost more than the fastest program measured.
        pid = os.posix_spawnp(self.argv[0], self.argv, env, file_actions=redirect)
        _, status, usage = os.wait4(pid, 0)
        self.wall.append(time.perf_counter() - started)
        self.cpu.append(usage.ru_utime + usage.ru_stime)
        self.resident = max(self.resident, usage.ru_maxrss * 1024)
        if os.waitstatus_to_exitcode(status) not in self.statuses:
            self.failure = "failed after %d runs" % len(self.wall)

    @property
    def measured(self):
        return bool(self.wall) and not self.failure

    @property
    def median(self):
        return statistics.median(self.wall)

    @property
    def cpu_median(self):
        return statistics.median(self.cpu)


def side_by_side(contenders, env):
    """Measures all in one go; those with fewer runs take part in rounds that are spread over the whole."""
    for c in contenders:
        c.try_once(env)
    ready = [c for c in contenders if not c.failure]
    rounds = max((c.runs for c in ready), default=0)
    nothing = os.open(os.devnull, os.O_RDWR)
    for r in range(rounds):
        for c in ready:
            if (r + 1) * c.runs // rounds > r * c.runs // rounds and not c.failure:
                c.run_once(env, nothing)
    os.close(nothing)


def duration(seconds):
    """Three significant digits in the unit that fits."""
    for limit, unit, factor in ((1e-3, "µs", 1e6), (1, "ms", 1e3)):
        if seconds < limit:
            return "%s %s" % (digits(seconds * factor), unit)
    return digits(seconds) + " s"


def digits(number):
    return "%.*f" % (2 if number < 10 else 1 if number < 100 else 0, number)

# SPDX-License-Identifier: MIT OR Apache-2.0
{%- from "certdoctor/map.jinja" import certdoctor with context %}

{%- if certdoctor.source %}
certdoctor-package:
  file.managed:
    - name: {{ certdoctor.binary }}
    - source: {{ certdoctor.source }}
    {%- if certdoctor.source_hash %}
    - source_hash: {{ certdoctor.source_hash }}
    {%- endif %}
    - mode: "0755"
{%- else %}
certdoctor-package:
  test.nop:
    - name: {{ certdoctor.binary }} is left as it is
{%- endif %}

# SPDX-License-Identifier: MIT OR Apache-2.0
# Takes the program away again. What it changed in the stores stays: `certdoctor undo` is for that.
{%- from "certdoctor/map.jinja" import certdoctor with context %}

{%- if certdoctor.source %}
certdoctor-clean:
  file.absent:
    - name: {{ certdoctor.binary }}
{%- endif %}

# SPDX-License-Identifier: MIT OR Apache-2.0
{%- from "certdoctor/map.jinja" import certdoctor with context %}

include:
  - certdoctor.package

certdoctor-config:
  certdoctor.anchors_absent:
    - binary: {{ certdoctor.binary }}
    - anchors: {{ certdoctor.anchors | json }}
    - targets: {{ certdoctor.targets | json }}
    - only: {{ certdoctor.only | json }}
    - confirm: {{ certdoctor.confirm | json }}
    {%- if certdoctor.root %}
    - root: {{ certdoctor.root }}
    {%- endif %}
    {%- if certdoctor.at %}
    - at: "{{ certdoctor.at }}"
    {%- endif %}
    - require:
      - certdoctor-package

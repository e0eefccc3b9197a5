#!/bin/bash
# Whether two runs of one scenario had the same result: ci/same-result.sh NAME RUN NAME RUN, where RUN is a run directory.
# Prints what every expectation measured in both, side by side. They may be as far apart as the scenario lets either be off: half of a
# `between`, and what the first run is away from an `at_least` or `at_most`. Exit code 1 if one is further.
set -euo pipefail
[ $# -eq 4 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
jq --raw-output --null-input --arg first "$1" --arg second "$3" --slurpfile one "$2/summary.json" --slurpfile other "$4/summary.json" '
  def expectations: [.[0].cells[].repetitions[].expectations[]];
  def place: [.metric, .of, .node];
  def tolerance: if .bound.between then (.bound.between | (.[1] - .[0]) / 2) else ((.measured // 0) - (.bound.at_least // .bound.at_most) | fabs) end;
  ($one | expectations) as $one | ($other | expectations) as $other
  | if ($one | map(place)) != ($other | map(place)) or $one == [] then "not two runs of one scenario\n" | halt_error(2) else . end
  | [$one, $other] | transpose | map({
      text: .[0].text, unit: .[0].unit, measured: map(.measured), tolerance: (.[0] | tolerance),
    } | .same = (.measured | (.[0] != null and .[1] != null)) and (.measured[1] - .measured[0] | fabs) <= .tolerance + 1e-9)
  | def two: if . == null then "nothing" else . * 100 | round / 100 end;
    (.[] | "\(if .same then "same     " else "DIFFERENT" end)  \($first) \(.measured[0] | two)\(.unit)  \($second) \(.measured[1] | two)\(.unit)  ± \(.tolerance | two)  \(.text)"),
    (if all(.same) then empty else "\($second) is not \($first)\n" | halt_error(1) end)
'

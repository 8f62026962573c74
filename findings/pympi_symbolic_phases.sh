#!/usr/bin/env bash
# pympi-ling 1.71: the phases of the last event are lost, and a TextGrid gets only the first phase of each.
#
# FACS coders give an event in ELAN its phases (onset, apex, offset) as a symbolic subdivision of the AU's tier. ELAN shows
# such annotations as equal parts of their parent.
#
# Expected: get_annotation_data_for_symbsub_tier ("a list of all annotations ... with their calculated start, end") gives the
#   three phases of each of n events, and to_textgrid writes them or says that it cannot.
# Behaviour: the last event's phases are left out, without a word: two events give one, and one event gives none. Where both
#   are phased alike nothing looks wrong. to_textgrid keeps the first phase of each event, stretched over all of it, and drops
#   apex and offset: its `except: pass` hides that annotations with the parent's times overlap.
# Why it matters: the last smile of every recording has no apex, so apex statistics and codes per frame lack it in a way that
#   depends on how many events a recording has; and a TextGrid made so says "onset" for the whole of every event.
# Remedy: place symbolic annotations yourself: follow ANNOTATION_REF and PREVIOUS_ANNOTATION, and divide the parent's time.
#
# Installs pympi-ling 1.71 into a temporary folder and makes its own input. Ends with 0 while the behaviour is as described.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check pympi-ling==1.71
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from pympi import Eaf

PHASES = ("onset", "apex", "offset")


def coded(events):
    eaf = Eaf()
    eaf.remove_tier("default")
    eaf.add_linguistic_type("phase", "Symbolic_Subdivision", timealignable=False)
    eaf.add_tier("AU12")
    eaf.add_tier("AU12 phase", ling="phase", parent="AU12")
    for number in range(events):
        begin = 1000 + 2000 * number
        eaf.add_annotation("AU12", begin, begin + 1200, "C")
        previous = None
        for phase in PHASES:
            eaf.add_ref_annotation("AU12 phase", "AU12", begin + 600, phase, prev=previous)
            previous = f"a{eaf.maxaid}"
    eaf.to_file("clip.eaf")
    return Eaf("clip.eaf")


print("pympi-ling", version("pympi-ling"))
assert version("pympi-ling") == "1.71"
for events in (1, 2, 3):
    eaf = coded(events)
    inside = eaf.get_ref_annotation_data_for_tier("AU12 phase")
    read = eaf.get_annotation_data_for_symbsub_tier("AU12 phase")
    print(f"{events} events: {len(inside)} phases in the file, {len(read)} with a time: {read}")
    assert len(inside) == 3 * events
    expected = [
        (1000 + 2000 * number + 400 * place, 1400 + 2000 * number + 400 * place, phase)
        for number in range(events) for place, phase in enumerate(PHASES)
    ]
    assert read == expected[:-3], "the last event's phases are no longer lost, or others are"

(tier,) = [tier for tier in coded(2).to_textgrid().get_tiers() if tier.name == "AU12 phase"]
intervals = list(tier.get_intervals())
print("as a TextGrid:", intervals)
assert intervals == [(1.0, 2.2, "onset"), (3.0, 4.2, "onset")], "to_textgrid treats phases otherwise now"
print("as described: the last event's phases are lost, and apex and offset never reach a TextGrid")
PYTHON

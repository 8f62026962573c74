"""ELAN files: written by hand, by pympi and by us; every frame as computed by hand."""

import numpy as np
import pytest

from au_jax.data.annotations.elan import read_elan
from au_jax.data.annotations.events import Event
from au_jax.errors import DataError

HEAD = '<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">'


def slots(**times):
    return "".join(
        f'<TIME_SLOT TIME_SLOT_ID="{name}"' + (f' TIME_VALUE="{time}"' if time is not None else "") + "/>"
        for name, time in times.items()
    )


def aligned(name, first, last, value=""):
    return (
        f'<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="{name}" TIME_SLOT_REF1="{first}" TIME_SLOT_REF2="{last}">'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"
    )


def reference(name, parent, value="", previous=""):
    previous = f' PREVIOUS_ANNOTATION="{previous}"' if previous else ""
    return (
        f'<ANNOTATION><REF_ANNOTATION ANNOTATION_ID="{name}" ANNOTATION_REF="{parent}"{previous}>'
        f"<ANNOTATION_VALUE>{value}</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>"
    )


def tier(name, *annotations, parent="", kind="default", participant=""):
    more = (f' PARENT_REF="{parent}"' if parent else "") + (f' PARTICIPANT="{participant}"' if participant else "")
    return f'<TIER TIER_ID="{name}" LINGUISTIC_TYPE_REF="{kind}"{more}>{"".join(annotations)}</TIER>'


TYPES = (
    '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="default" TIME_ALIGNABLE="true"/>'
    '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="association" CONSTRAINTS="Symbolic_Association" TIME_ALIGNABLE="false"/>'
    '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="subdivision" CONSTRAINTS="Symbolic_Subdivision" TIME_ALIGNABLE="false"/>'
    '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="phases" CONSTRAINTS="Time_Subdivision" TIME_ALIGNABLE="true"/>'
)


@pytest.fixture
def eaf(tmp_path):
    def make(time_order, *tiers, media="", types=TYPES, units="milliseconds", more=""):
        path = tmp_path / "clip.eaf"
        header = f'<HEADER MEDIA_FILE="" TIME_UNITS="{units}">{media}</HEADER>'
        path.write_text(
            f"{HEAD}{header}<TIME_ORDER>{time_order}</TIME_ORDER>{''.join(tiers)}{types}{more}</ANNOTATION_DOCUMENT>",
            encoding="utf-8",
        )
        return path

    return make


TWO = slots(ts1=1000, ts2=2000)


@pytest.mark.parametrize(
    "name, side, person",
    [
        ("AU12", "", ""),
        ("AU 12", "", ""),
        ("12", "", ""),
        ("AU12 L", "L", ""),
        ("lip corner puller", "", ""),
        ("P1_AU12_right", "R", "P1"),
        ("AU12@P1", "", "P1"),
    ],
)
def test_a_tier_of_an_au_in_any_usual_spelling(eaf, name, side, person):
    codes = read_elan(eaf(TWO, tier(name, aligned("a1", "ts1", "ts2", "C"))))
    assert codes.events == (Event(12, 1.0, 2.0, side=side, intensity="C", person=person),)
    assert codes.aus == (12,)


def test_the_participant_of_a_tier_is_its_person(eaf):
    codes = read_elan(
        eaf(
            TWO,
            tier("AU12-A", aligned("a1", "ts1", "ts2"), participant="Anna"),
            tier("AU12-B", aligned("a2", "ts1", "ts2"), participant="Ben"),
        )
    )
    assert codes.persons == ("Anna", "Ben")
    assert read_elan(eaf(TWO, tier("AU12", participant="Anna"), tier("AU4", participant="Ben")), person="Ben").aus == (
        4,
    )
    with pytest.raises(DataError, match="has no tier of 'Carl'; it has 'Anna'"):
        read_elan(eaf(TWO, tier("AU12", participant="Anna")), person="Carl")


@pytest.mark.parametrize(
    "value, expected",
    [
        ("", {}),
        ("C", {"intensity": "C"}),
        ("3", {"intensity": "C"}),
        ("12C", {"intensity": "C"}),
        ("L12C", {"side": "L", "intensity": "C"}),
        ("C left", {"side": "L", "intensity": "C"}),
        ("0", {"label": -1}),
        ("?", {"label": 0}),
        ("unsure", {"comment": "unsure"}),
        ("C maybe", {"comment": "C maybe"}),
    ],
)
def test_what_an_annotation_says(eaf, value, expected):
    assert read_elan(eaf(TWO, tier("AU12", aligned("a1", "ts1", "ts2", value)))).events == (
        Event(12, 1.0, 2.0, **expected),
    )


def test_aus_named_by_annotations(eaf):
    codes = read_elan(
        eaf(TWO, tier("FACS", aligned("a1", "ts1", "ts2", "6B+L12C")), tier("trial", aligned("a2", "ts1", "ts2", "4")))
    )
    assert codes.events == (Event(6, 1.0, 2.0, intensity="B"), Event(12, 1.0, 2.0, side="L", intensity="C"))
    assert [problem.text for problem in codes.problems] == ["1 tiers name no AU and are left out: 'trial'"]


def test_aus_named_by_a_controlled_vocabulary(eaf):
    vocabulary = (
        '<LINGUISTIC_TYPE LINGUISTIC_TYPE_ID="mouth" TIME_ALIGNABLE="true" CONTROLLED_VOCABULARY_REF="m"/>'
        '<CONTROLLED_VOCABULARY CV_ID="m">'
        '<CV_ENTRY_ML CVE_ID="c1"><CVE_VALUE LANG_REF="und" DESCRIPTION="AU12">smile</CVE_VALUE></CV_ENTRY_ML>'
        '<CV_ENTRY_ML CVE_ID="c2"><CVE_VALUE LANG_REF="und" DESCRIPTION="lip corner depressor">frown</CVE_VALUE></CV_ENTRY_ML>'
        "</CONTROLLED_VOCABULARY>"
    )
    codes = read_elan(
        eaf(TWO, tier("expression", aligned("a1", "ts1", "ts2", "smile"), kind="mouth"), types=vocabulary)
    )
    assert codes.events == (Event(12, 1.0, 2.0),)
    assert codes.aus == (12, 15)
    assert [problem.kind for problem in codes.problems] == ["AU without events"]


def test_symbolic_tiers_inherit_the_time_of_their_parent(eaf):
    path = eaf(
        TWO,
        tier("AU12", aligned("a1", "ts1", "ts2")),
        tier("AU12 intensity", reference("a2", "a1", "D"), parent="AU12", kind="association"),
        tier("AU12 comment", reference("a3", "a1", "shy"), parent="AU12", kind="association"),
        tier("smile parts", aligned("a4", "ts1", "ts2", "x")),
        tier(
            "AU6",
            reference("a6", "a4", "B", previous="a5"),
            reference("a5", "a4", "A"),
            parent="smile parts",
            kind="subdivision",
        ),
    )
    assert read_elan(path).events == (
        Event(6, 1.0, 1.5, intensity="A"),
        Event(12, 1.0, 2.0, intensity="D", comment="shy"),
        Event(6, 1.5, 2.0, intensity="B"),
    )


def test_children_of_a_tier_that_names_aus_in_its_annotations(eaf):
    path = eaf(
        TWO,
        tier("FACS", aligned("a1", "ts1", "ts2", "12")),
        tier("intensity", reference("a2", "a1", "D"), parent="FACS", kind="association"),
        tier("side", reference("a3", "a1", "left"), parent="FACS", kind="association"),
    )
    assert read_elan(path).events == (Event(12, 1.0, 2.0, side="L", intensity="D"),)


def test_phases_without_times_are_spread_as_elan_shows_them(eaf):
    # A time subdivision of which only the ends have a time: thirds of 1.2 s.
    path = eaf(
        slots(ts1=1000, ts2=1000, ts3=None, ts4=None, ts5=2200, ts6=2200),
        tier("AU12", aligned("a1", "ts1", "ts6")),
        tier(
            "AU12 phase", aligned("a2", "ts2", "ts3", "onset"), aligned("a3", "ts3", "ts4", "apex"),
            aligned("a4", "ts4", "ts5", "offset"), parent="AU12", kind="phases",
        ),
    )  # fmt: skip
    codes = read_elan(path)
    (event,) = codes.events
    assert (event.onset, event.apex, event.offset) == pytest.approx((1.0, 1.4, 2.2))
    assert [(problem.kind, problem.count) for problem in codes.problems] == [("time slot without a time", 2)]


def test_phases_on_the_tier_of_an_au_are_one_event(eaf):
    path = eaf(
        slots(ts1=1000, ts2=1500, ts3=1500, ts4=2000, ts5=2000, ts6=2500, ts7=4000, ts8=4500),
        tier(
            "AU12", aligned("a1", "ts1", "ts2", "onset"), aligned("a2", "ts3", "ts4", "apex"),
            aligned("a3", "ts5", "ts6", "offset"), aligned("a4", "ts7", "ts8", "apex"),
        ),
    )  # fmt: skip
    assert read_elan(path).events == (Event(12, 1.0, 2.5, apex=1.5), Event(12, 4.0, 4.5, apex=4.0))


def test_the_origin_of_the_linked_video_is_added(eaf):
    video = '<MEDIA_DESCRIPTOR MEDIA_URL="file:///d/a%20b.mp4" RELATIVE_MEDIA_URL="./a%20b.mp4" MIME_TYPE="" {}/>'
    annotations = tier("AU12", aligned("a1", "ts1", "ts2"))
    codes = read_elan(eaf(TWO, annotations, media=video.format('TIME_ORIGIN="40000"')))
    assert codes.events == (Event(12, 41.0, 42.0),) and codes.media == ("a b.mp4",)
    two = video.format("") + video.format('TIME_ORIGIN="500"').replace("a%20b", "c")
    with pytest.raises(DataError, match=r"links a b.mp4, c.mp4 with different origins; say which video"):
        read_elan(eaf(TWO, annotations, media=two))
    assert read_elan(eaf(TWO, annotations, media=two), media="c.mov").events[0].onset == 1.5
    with pytest.raises(DataError, match="does not link x.mp4"):
        read_elan(eaf(TWO, annotations, media=two), media="x.mp4")


def test_frames_of_pal_and_ntsc_are_times(eaf):
    annotations = tier("AU12", aligned("a1", "ts1", "ts2"))
    order = slots(ts1=25, ts2=50)
    assert read_elan(eaf(order, annotations, units="PAL-frames")).events == (Event(12, 1.0, 2.0),)
    (event,) = read_elan(eaf(order, annotations, units="NTSC-frames")).events
    assert event.onset == pytest.approx(25 * 1.001 / 30)
    with pytest.raises(DataError, match="counts in 'fortnights'"):
        read_elan(eaf(order, annotations, units="fortnights"))


def test_coded_spans_and_silent_aus(eaf):
    codes = read_elan(eaf(TWO, tier("coded", aligned("a1", "ts1", "ts2")), tier("AU12")))
    assert codes.spans == ((1.0, 2.0),) and codes.aus == (12,) and codes.events == ()
    labels = codes.frame_codes(np.arange(5) * 0.5).labels[:, 0]
    assert labels.tolist() == [0, 0, -1, -1, 0]


@pytest.mark.parametrize(
    "content, message",
    [
        ("", "is no whole XML file"),
        ("<a><b></a>", "is no whole XML file .*line 1"),
        ("<html></html>", "no ELAN annotation document"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type declaration"),
        ("<a>" * 40 + "</a>" * 40, "nest deeper"),
        (f"{HEAD}</ANNOTATION_DOCUMENT>", "has no tier or annotation of an AU"),
        (f"{HEAD}{tier('smile')}</ANNOTATION_DOCUMENT>", "it has 'smile'"),
        (f"{HEAD}{tier('AU12', aligned('a1', 'ts1', 'ts2'))}</ANNOTATION_DOCUMENT>", "annotation a1 has no time"),
        (f"{HEAD}{tier('AU12', reference('a2', 'a1'))}</ANNOTATION_DOCUMENT>", "refer to a1, which is not in the file"),
        (f"{HEAD}{tier('AU12', reference('a1', 'a1'))}</ANNOTATION_DOCUMENT>", "refer to a1, which is not in the file"),
        (f"{HEAD}<TIER/></ANNOTATION_DOCUMENT>", "TIER has no TIER_ID"),
        (f"{HEAD}<TIME_ORDER>{slots(ts1='x')}</TIME_ORDER></ANNOTATION_DOCUMENT>", "time slot ts1 has the time 'x'"),
        (
            f"{HEAD}<TIME_ORDER>{slots(b=5, c=3)}</TIME_ORDER>{tier('AU1', aligned('a1', 'b', 'c'))}</ANNOTATION_DOCUMENT>",
            "annotation a1 ends before it begins",
        ),
    ],
)
def test_what_cannot_be_read_is_one_line(tmp_path, content, message):
    path = tmp_path / "clip.eaf"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        read_elan(path)
    assert "\n" not in str(caught.value) and "clip.eaf" in str(caught.value)


def test_we_read_what_pympi_writes(tmp_path):
    pympi = pytest.importorskip("pympi")
    eaf = pympi.Eaf()
    eaf.remove_tier("default")
    eaf.add_linguistic_type("side", "Symbolic_Association", timealignable=False)
    eaf.add_tier("AU 12", part="Anna")
    eaf.add_tier("AU 12 side", ling="side", parent="AU 12", part="Anna")
    eaf.add_tier("Brow lowerer", part="Anna")
    eaf.add_annotation("AU 12", 1001, 2002, "C")
    eaf.add_annotation("AU 12", 3003, 4004, "unsure")
    eaf.add_ref_annotation("AU 12 side", "AU 12", 1500, "right")
    eaf.add_linked_file("/data/clip.mp4", "./clip.mp4", "video/mp4", time_origin=1000)
    eaf.to_file(str(tmp_path / "pympi.eaf"))
    codes = read_elan(tmp_path / "pympi.eaf")
    assert codes.events == (
        Event(12, 2.001, 3.002, None, "R", "C", 1, "Anna"),
        Event(12, 4.003, 5.004, person="Anna", comment="unsure"),
    )
    assert codes.aus == (4, 12)
    # At 29.97 a second, 2.001 s is nearest to frame 60 (2.002 s) and 3.002 s to frame 90.
    labels = codes.frame_codes(np.arange(160) * 1001 / 30000, [12]).labels[:, 0]
    assert np.flatnonzero(labels == 1).tolist() == [*range(60, 90), *range(120, 150)]

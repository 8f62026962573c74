"""What a user's copy of recordings holds, beside what it should: before hours go into preparing it."""

import dataclasses
from typing import Any

import numpy as np

from au_jax import console
from au_jax.data.readers.raw import RawReader
from au_jax.data.readers.survey import UNUSABLE
from au_jax.data.recordings import Problem
from au_jax.errors import UserError
from au_jax.labels import ABSENT, AU_NAMES, AUS, PRESENT
from au_jax.synthfacs.presets import BP4D_RATES

BP4D_COUNTS: dict[str, int] = {"subjects": 41, "sequences": 328, "coded frames": 146_847}
"""What a whole copy of BP4D has."""

_SHOWN = 3  # problems of a kind that are printed


@dataclasses.dataclass(frozen=True)
class Check:
    """What a copy holds.

    Attributes:
      title: source and folder.
      reading: how codes become labels.
      counts: subjects, sequences and coded frames of the recordings that can be used.
      present, absent: [12] frames in which each AU is coded as present and as absent.
      known_counts, known_rates: those of a whole copy ([12] shares), where they are known.
      unusable: recordings that cannot be used.
      problems: what else was found, without decoding whole videos.
    """

    title: str
    reading: str
    counts: dict[str, int]
    present: np.ndarray
    absent: np.ndarray
    known_counts: dict[str, int] | None
    known_rates: np.ndarray | None
    unusable: tuple[Problem, ...]
    problems: tuple[Problem, ...]

    @property
    def base_rates(self) -> np.ndarray:
        """[12] share of the frames with a code of the AU in which it is present; NaN where there are none."""
        coded = self.present + self.absent
        return np.where(coded > 0, self.present / np.maximum(coded, 1), np.nan)

    @property
    def always_present(self) -> np.ndarray:
        """[12] F1 of calling the AU present in every frame: 2p / (1 + p) at base rate p."""
        return 2 * self.base_rates / (1 + self.base_rates)

    def raise_if_unusable(self, skip: bool) -> None:
        """Stops where recordings cannot be used.

        Args:
          skip: leave them out instead (`config.data.skip_unusable`), if any can be used.

        Raises:
          UserError: how many they are, the first of them, and what to do.
        """
        total = self.counts["sequences"] + len(self.unusable)
        if self.unusable and not (skip and self.counts["sequences"]):
            raise UserError(
                f"{len(self.unusable)} of {total} recordings cannot be used, the first because {self.unusable[0].text}; "
                "mend them (--check_only lists all), or leave them out with --config.data.skip_unusable=True"
            )

    def text(self) -> str:
        """The tables and the first few problems of each kind, with the number of the others."""
        known = self.known_counts or {}
        counts = [["", "found", *(["known"] if known else [])]]
        counts += [[name, f"{n:,}", *([f"{known[name]:,}"] if known else [])] for name, n in self.counts.items()]
        parts = [self.title, self.reading, "", _aligned(counts), "", _aligned(self._au_rows())]
        for problems in (self.unusable, self.problems):
            kinds = dict.fromkeys(problem.kind for problem in problems)
            for kind in kinds:
                parts += ["", *_lines(kind, [problem for problem in problems if problem.kind == kind])]
        if not self.unusable and not self.problems:
            parts += ["", "No problems found."]
        return "\n".join(parts)

    def document(self) -> dict[str, Any]:
        """The same for JSON, with all problems; shares in percent, NaN where an AU has no codes."""
        rates = self.known_rates
        return {
            "title": self.title,
            "reading": self.reading,
            "counts": self.counts,
            "known_counts": self.known_counts,
            "aus": {
                str(au): {
                    "coded_frames": int(self.present[index] + self.absent[index]),
                    "base_rate": round(100 * float(self.base_rates[index]), 3),
                    "known_base_rate": None if rates is None else round(100 * float(rates[index]), 3),
                    "always_present_f1": round(100 * float(self.always_present[index]), 3),
                }
                for index, au in enumerate(AUS)
            },
            "unusable": [dataclasses.asdict(problem) for problem in self.unusable],
            "problems": [dataclasses.asdict(problem) for problem in self.problems],
        }

    def _au_rows(self) -> list[list[str]]:
        rates = self.known_rates
        beside = ["known %", "difference"] if rates is not None else []
        rows = [["AU", "coded frames", "base rate %", *beside, "F1 of always present %"]]
        for index, au in enumerate(AUS):
            rate = 100 * self.base_rates[index]
            if rates is not None:
                beside = [f"{100 * rates[index]:.1f}", _percent(rate - 100 * rates[index], "+.1f")]
            coded = f"{self.present[index] + self.absent[index]:,}"
            always = _percent(100 * self.always_present[index])
            rows.append([f"{au:2d} {AU_NAMES[au]}", coded, _percent(rate), *beside, always])
        return rows


def check(reader: RawReader) -> Check:
    """Looks through a copy of recordings: names, headers and codes; no picture is decoded but the first of each video.

    Raises:
      UserError: no folder, no recordings in it, or two of one name.
    """
    survey = reader.survey()
    problems = list(survey.problems)
    present, absent = np.zeros(len(AUS), np.int64), np.zeros(len(AUS), np.int64)
    coded = 0
    for recording in console.bar(survey.usable, desc=f"check {reader.source}", unit="video"):
        codes, found = reader.examine(recording)
        problems += found
        present += (codes.labels == PRESENT).sum(0)
        absent += (codes.labels == ABSENT).sum(0)
        coded += int(codes.labels.any(1).sum())
    subjects = len({recording.subject for recording in survey.usable})
    known = reader.source == "bp4d" and reader.level == reader.default_level
    return Check(
        title=f"{reader.source} in {reader.root}",
        reading=reader.reading(),
        counts=dict(zip(BP4D_COUNTS, (subjects, len(survey.usable), coded), strict=True)),
        present=present,
        absent=absent,
        known_counts=BP4D_COUNTS if known else None,
        known_rates=np.array(BP4D_RATES) if known else None,
        unusable=survey.unusable,
        problems=tuple(problems),
    )


def _lines(kind: str, problems: list[Problem]) -> list[str]:
    lines = [f"{kind}: {sum(problem.count for problem in problems):,}"]
    for problem in problems[:_SHOWN]:
        # The line of a recording that cannot be used names the file at fault itself.
        lines.append(f"  {problem.text}" if kind == UNUSABLE else f"  {problem.path}: {problem.text}")
    if len(problems) > _SHOWN:
        lines.append(f"  and {len(problems) - _SHOWN} more such lines")
    return lines


def _percent(value: float, form: str = ".1f") -> str:
    return format(value, form) if np.isfinite(value) else "-"


def _aligned(rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    )

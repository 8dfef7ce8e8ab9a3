from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import qa.feedback
from fakes import FakeEncoder
from qa.cli import main
from qa.config import Settings
from qa.errors import FeedbackError
from qa.evaluate import read_questions
from qa.feedback import Feedback, append, latest, questions, read
from qa.verify import Cited

GOLD = Cited("notes.txt", 31, 59, "Gold melts at 1,064 degrees.")
ENTRY = Feedback(
    "2026-11-22T12:00:01+00:00",
    "And gold?",
    "At what temperature does gold melt?",
    True,
    (GOLD,),
    "20261122T120000000-abcdef01",
    "good",
    "says “1,064”\nand no more\u2028🜚",
)
REFUSED = replace(ENTRY, interpreted="Who won?", answered=False, citations=(), note="")
BAD = replace(ENTRY, interpreted="How hot is gold?", verdict="bad")


@pytest.fixture
def kept(settings: Settings, tmp_path: Path) -> Settings:
    return replace(settings, feedback=tmp_path / "kept" / "feedback.jsonl")


def test_feedback_is_kept_as_lines(kept: Settings) -> None:
    append(kept, ENTRY)
    append(kept, REFUSED)
    first, second, end = kept.feedback.read_bytes().split(b"\n")
    assert json.loads(first) == {
        "time": ENTRY.time,
        "question": "And gold?",
        "interpreted": "At what temperature does gold melt?",
        "answered": True,
        "citations": [
            {"uri": "notes.txt", "start": 31, "end": 59, "quote": GOLD.quote, "sha256": None}
        ],
        "generation": ENTRY.generation,
        "verdict": "good",
        "note": ENTRY.note,
    }
    assert (json.loads(second)["answered"], end) == (False, b"")
    assert read(kept.feedback) == ([ENTRY, REFUSED], [])


def test_it_outlives_the_index(settings: Settings) -> None:
    assert Settings().feedback == Path("feedback.jsonl")
    assert Settings.load({"QA_INDEX": "a/index"}).feedback == Path("feedback.jsonl")
    Path("project").mkdir()
    Path("project/qa.toml").write_text('corpus = "texts"\n')
    assert Settings.load({}, Path("project/qa.toml")).feedback == Path("project/feedback.jsonl")


@pytest.mark.parametrize("name", ["corpus/feedback.jsonl", "corpus/a/../b/f.jsonl", "link/f.jsonl"])
def test_it_is_never_a_source(settings: Settings, tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to(settings.corpus)
    with pytest.raises(FeedbackError, match="lies inside the corpus"):
        append(replace(settings, feedback=tmp_path / name), ENTRY)
    assert list(settings.corpus.iterdir()) == []


def test_it_does_not_fill_the_disk(kept: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    append(kept, ENTRY)
    before = kept.feedback.read_bytes()
    monkeypatch.setattr(qa.feedback, "LARGEST", 2 * len(before))
    append(kept, ENTRY)
    with pytest.raises(FeedbackError, match="move it away, and a new one is begun"):
        append(kept, ENTRY)
    assert kept.feedback.read_bytes() == 2 * before


def test_a_line_that_was_cut_off_harms_no_other(kept: Settings) -> None:
    append(kept, ENTRY)
    with kept.feedback.open("ab") as file:
        file.write(b'{"time": "2026-')
    append(kept, REFUSED)
    entries, (broken,) = read(kept.feedback)
    assert entries == [ENTRY, REFUSED]
    assert broken.number == 2
    assert broken.reason.startswith("Invalid JSON: EOF while parsing a string")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"\xff", "Invalid JSON"),
        (b"3", "Input should be an object"),
        (b"{}", "time: Field required"),
        (json.dumps({**json.loads('{"verdict": "meh"}'), "time": 3}).encode(), "time: Input"),
    ],
)
def test_broken_lines_are_named(kept: Settings, line: bytes, reason: str) -> None:
    append(kept, ENTRY)
    with kept.feedback.open("ab") as file:
        file.write(b"\n" + line + b"\r\n")
    append(kept, REFUSED)
    entries, (broken,) = read(kept.feedback)
    assert entries == [ENTRY, REFUSED]
    assert broken.number == 3
    assert broken.reason.startswith(reason)


def test_a_field_of_a_later_version_is_no_fault(kept: Settings) -> None:
    append(kept, ENTRY)
    line = {**json.loads(kept.feedback.read_bytes()), "stars": 5}
    kept.feedback.write_text(json.dumps(line))
    assert read(kept.feedback) == ([ENTRY], [])


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from qa.config import Settings
from qa.feedback import Feedback, append
settings = Settings(feedback=Path(sys.argv[1]))
for number in range(100):
    question = f"{sys.argv[2]} {number} " + "x" * 1900
    append(settings, Feedback("t", question, question, False, (), "g", "good", sys.argv[2] * 2000))
"""


def test_processes_do_not_mix_their_lines(kept: Settings) -> None:
    names = ["a", "b", "c"]
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(kept.feedback), name]) for name in names
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0, 0]
    entries, broken = read(kept.feedback)
    assert broken == []
    assert len(entries) == 300
    for name in names:
        own = [entry.question.split()[1] for entry in entries if entry.note == name * 2000]
        assert own == [str(number) for number in range(100)]


def test_a_full_disk_leaves_the_file_as_it_was(
    kept: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(kept, ENTRY)
    before = kept.feedback.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FeedbackError, match="cannot be written: No space left on device"):
        append(kept, REFUSED)
    assert kept.feedback.read_bytes() == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_is_full_from_the_start(kept: Settings) -> None:
    with pytest.raises(FeedbackError, match="No space left on device"):
        append(replace(kept, feedback=Path("/dev/full")), ENTRY)


def test_a_place_that_cannot_be_written(kept: Settings, tmp_path: Path) -> None:
    tmp_path.joinpath("file").touch()
    with pytest.raises(FeedbackError) as caught:
        append(replace(kept, feedback=tmp_path / "file" / "feedback.jsonl"), ENTRY)
    assert str(tmp_path) not in str(caught.value)
    with pytest.raises(FeedbackError, match="cannot be read: No such file or directory"):
        read(kept.feedback)


def test_a_file_that_is_held_is_named(kept: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    append(kept, ENTRY)
    monkeypatch.setattr(qa.feedback, "_PATIENCE", 0.05)
    with kept.feedback.open("ab") as held:
        assert qa.feedback.seize(held)
        with pytest.raises(FeedbackError, match="is held by another process"):
            append(kept, ENTRY)


# questions for qa eval


def test_the_last_verdict_on_an_answer_counts() -> None:
    other = replace(ENTRY, citations=(replace(GOLD, quote="Gold is heavy."),), verdict="bad")
    entries = [ENTRY, other, replace(ENTRY, verdict="bad"), replace(ENTRY, note="yes")]
    assert latest(entries) == [replace(ENTRY, note="yes"), other]


def test_good_answers_become_questions() -> None:
    also = replace(ENTRY, citations=(GOLD, Cited("b.txt", 0, 5, "Gold."), replace(GOLD, start=3)))
    assert questions([ENTRY, BAD, REFUSED, also]) == [
        {
            "question": "At what temperature does gold melt?",
            "answers": ["Gold melts at 1,064 degrees.", "Gold."],
            "uri": ["notes.txt", "b.txt"],
        },
        {"question": "Who won?", "answers": [], "uri": []},
    ]


def test_the_command_makes_a_file_that_eval_reads(
    indexed: Settings,
    fake: FakeEncoder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file, out = tmp_path / "feedback.jsonl", tmp_path / "questions.jsonl"
    settings = replace(indexed, feedback=file)
    for entry in (ENTRY, BAD, REFUSED, replace(BAD, note="no\x1b[31m, really")):
        append(settings, entry)
    with file.open("ab") as broken:
        broken.write(b"{\n")
    before = file.read_bytes()
    assert main(["feedback", "--output", str(out)]) == 0
    printed, errors = capsys.readouterr()
    assert printed == (
        "3 answers: 2 good, 1 bad.\n"
        "To look at:\n\n"
        "How hot is gold?\n"
        "    answered: “Gold melts at 1,064 degrees.”\n"
        "    notes.txt, characters 31-59\n"
        "    note: no [31m, really\n\n"
        f"Wrote 2 questions to {out}; measure: qa eval {out}\n"
    )
    assert errors.startswith("qa: feedback.jsonl, line 5 was skipped: Invalid JSON: EOF")
    found, corpus = read_questions(out)
    assert [(question.text, question.answers, question.uri) for question in found] == [
        ("At what temperature does gold melt?", (GOLD.quote,), "notes.txt"),
        ("Who won?", (), None),
    ]
    assert corpus == {}
    monkeypatch.setattr("qa.assistant.open_encoder", lambda _: fake)
    folders = ["--corpus", str(indexed.corpus), "--index", str(indexed.index)]
    assert main(["eval", *folders, str(out), "--json"]) == 0
    measured = json.loads(capsys.readouterr().out)
    assert (measured["questions"], measured["passage hit@1"]) == (2, 1.0)
    assert main(["feedback", str(file), "--output", str(file)]) == 4
    assert "would be overwritten" in capsys.readouterr().err
    assert file.read_bytes() == before


def test_without_feedback_the_file_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["feedback"]) == 4
    assert capsys.readouterr().err == (
        "qa: The feedback file feedback.jsonl cannot be read: No such file or directory.\n"
    )

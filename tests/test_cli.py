from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import qa.errors
from fakes import ARTICLE, CORPUS, fill
from qa.assistant import Assistant
from qa.cli import EXIT_CODES, _Events, main
from qa.config import Settings
from qa.errors import QAError
from qa.stores import generation
from qa.stores.local import LocalStore

ANSWERED = "How large did the US Treasury estimate targeted sanctions to be by mid-2024?"
REFUSED = "Who won the 2018 World Cup?"


def run(settings: Settings, *arguments: str) -> int:
    """Run a command with the folders of these settings."""
    command, *rest = arguments
    folders = ["--corpus", str(settings.corpus), "--index", str(settings.index)]
    return main([command, *folders, *rest])


@pytest.fixture
def fresh(settings: Settings, exported: Path) -> Settings:
    """Settings of the small corpus with the model exported, but no index."""
    fill(settings.corpus, CORPUS)
    shutil.copytree(exported, settings.index)
    return settings


# asking


def test_an_answer_is_printed_with_its_citations(
    article_index: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(article_index, "ask", ANSWERED) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "“The US Treasury estimated over $330 billion in targeted sanctions by mid-2024," in out
    assert "[1] Russia-United States Relations: Current Dynamics in 2025 > Sanctions," in out
    assert "russia-us-relations-2025.txt:" in out


def test_a_refusal_is_printed_with_what_is_near(
    article_index: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(article_index, "ask", REFUSED) == 1
    out = capsys.readouterr().out
    assert out.startswith("The 1 source searched does not answer this (confidence ")
    assert "Related, not an answer:" in out
    assert "“" not in out.splitlines()[0]


@pytest.mark.parametrize(("question", "code"), [(ANSWERED, 0), (REFUSED, 1)])
def test_the_reply_as_json(
    article_index: Settings, capsys: pytest.CaptureFixture[str], question: str, code: int
) -> None:
    assert run(article_index, "ask", question, "--json", "--limit", "3") == code
    reply = json.loads(capsys.readouterr().out)
    assert reply["question"] == question
    assert reply["answered"] is (code == 0)
    assert len(reply["passages"]) == 3
    text = ARTICLE.read_bytes().decode()
    for citation in reply["citations"]:
        assert text[citation["start"] : citation["end"]] == citation["quote"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ask", ""], "qa: question: is empty; write a question"),
        (["ask", "x" * 2001], "qa: question: has 2001 characters; at most 2000"),
        (["ask", "Why?", "--limit", "0"], "qa: limit: is 0; 1 to 50"),
        (["ask", "Why?", "--source", "gone.txt"], "qa: gone.txt: not in the index"),
        (["ask", "Why?", "--after", "May"], "qa: after: is 'May'; a day is written YYYY-MM-DD"),
        (["ask", "Why?", "--config", "gone.toml"], "qa: setting '--config' is 'gone.toml'"),
    ],
    ids=["empty", "too long", "limit", "unknown source", "day", "settings"],
)
def test_bad_input_is_usage(
    article_index: Settings,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    assert run(article_index, *arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.out == ""


@pytest.mark.parametrize(
    "arguments",
    [[], ["ask"], ["nonsense"], ["ask", "Why?", "--limit", "many"], ["ask", "Why?", "--nonsense"]],
    ids=lambda arguments: " ".join(arguments) or "nothing",
)
def test_a_command_that_is_none_is_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: qa")


def test_settings_come_from_the_environment(
    article_index: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("QA_INDEX", str(article_index.index))
    monkeypatch.setenv("QA_THRESHOLD", "1")
    assert main(["ask", ANSWERED]) == 1
    monkeypatch.setenv("QA_NONSENSE", "1")
    assert main(["ask", ANSWERED]) == 2
    assert "setting 'nonsense'" in capsys.readouterr().err


# the index


@pytest.mark.parametrize("command", ["ask", "status", "sources"])
@pytest.mark.parametrize("damaged", [False, True], ids=["missing", "damaged"])
def test_an_index_that_cannot_be_used_exits_with_3(
    fresh: Settings, capsys: pytest.CaptureFixture[str], command: str, damaged: bool
) -> None:
    if damaged:
        assert run(fresh, "index") == 0
        (generation.current(fresh.index) / "dense.faiss").write_bytes(b"")
    capsys.readouterr()
    assert run(fresh, command, *(["Why?"] if command == "ask" else [])) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "build it: qa index" in captured.err


def test_index(fresh: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    fill(fresh.corpus, {"broken.txt": b"\xff"})
    assert run(fresh, "index") == 0
    out = capsys.readouterr().out
    name = (fresh.index / "CURRENT").read_text().strip()
    assert f"Built generation {name}" in out
    assert "Sources: 3 added.\n" in out
    assert "Skipped broken.txt: not UTF-8: invalid start byte at byte 0; save it as UTF-8" in out
    assert run(fresh, "index") == 0
    assert f"Nothing changed; generation {name} stays." in capsys.readouterr().out
    assert run(fresh, "index", "--full", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["changed"] is True
    assert report["generation"] != name
    assert report["sources"]["unchanged"] == 3
    assert report["skipped"] == [
        {
            "uri": "broken.txt",
            "reason": "not UTF-8: invalid start byte at byte 0; save it as UTF-8",
        }
    ]


def test_no_corpus(settings: Settings, exported: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gone = replace(settings, corpus=settings.corpus / "gone", index=exported)
    assert run(gone, "index") == 4
    assert "no such folder; name it with --corpus" in capsys.readouterr().err


def test_status_and_sources(article_index: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(article_index, "status") == 0
    out = capsys.readouterr().out
    assert (article_index.index / "CURRENT").read_text().strip() in out
    assert "Sources     1\n" in out
    size = len(ARTICLE.read_bytes().decode())
    assert out.endswith(f"Largest, in characters\n  {ARTICLE.name}  {'#' * 30} {size}\n")
    assert run(article_index, "status", "--json") == 0
    status: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert status["counts"]["sources"] == 1
    assert run(article_index, "sources") == 0
    assert capsys.readouterr().out.startswith("russia-us-relations-2025.txt  undated  ")
    assert run(article_index, "sources", "--json") == 0
    (source,) = json.loads(capsys.readouterr().out)
    assert source["title"] == "Russia-United States Relations: Current Dynamics in 2025"
    assert source["characters"] == len(ARTICLE.read_bytes().decode())


def test_doctor(
    article_index: Settings, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(article_index, "doctor") == 0
    assert "BAD" not in capsys.readouterr().out
    assert run(settings, "doctor") == 1
    assert "BAD  index: no index at" in capsys.readouterr().out


def test_eval(article_index: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text(
        json.dumps({"question": ANSWERED, "answers": ["$330 billion"]})
        + "\n"
        + json.dumps({"question": REFUSED, "answers": []})
    )
    assert run(article_index, "eval", str(questions), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["passage hit@1"], found["answer-sentence hit"]) == (1.0, 1.0)
    assert (found["answered, of the unanswerable"], found["refusal AUROC"]) == (0.0, 1.0)
    assert run(article_index, "eval", str(questions)) == 0
    assert "passage hit@1" in capsys.readouterr().out
    questions.write_text("nonsense")
    assert run(article_index, "eval", str(questions)) == 4
    assert "line 1: expected" in capsys.readouterr().err


def test_a_fit_is_kept_and_used(
    article_index: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    passages = LocalStore.open(article_index.index).passages(range(6))
    known = [sentence.plain for passage in passages for sentence in passage.sentences][:25]
    asked = [{"question": f"Is it so that {text}?", "answers": [text]} for text in known]
    asked += [{"question": f"How is bread {number} baked?", "answers": []} for number in range(25)]
    questions = tmp_path / "questions.jsonl"
    questions.write_text("\n".join(map(json.dumps, asked)))
    assert run(article_index, "eval", str(questions), "--fit") == 0
    assert "Wrote calibration.json; it is used from now on." in capsys.readouterr().out
    fit = json.loads(Path("calibration.json").read_text(encoding="utf-8"))
    assert (fit["selector"], fit["questions"]) == ("selector", 25)
    assert Assistant.open(settings=article_index).threshold == fit["threshold"]
    Path("calibration.json").write_text("{}")
    assert run(article_index, "ask", ANSWERED) == 4
    assert "fit it again (qa eval FILE --fit) or delete it" in capsys.readouterr().err
    assert run(article_index, "eval", str(questions), "--fit") == 0


# verify


@pytest.fixture
def answered(
    article_index: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[Settings, Path]:
    """Settings of a copy of the article, with the file of an answer from it."""
    copied = replace(article_index, corpus=tmp_path / "copy")
    shutil.copytree(article_index.corpus, copied.corpus)
    assert run(copied, "ask", ANSWERED, "--json") == 0
    file = tmp_path / "answer.json"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    return copied, file


def test_an_answer_is_verified(
    answered: tuple[Settings, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    settings, file = answered
    (citation,) = json.loads(file.read_text(encoding="utf-8"))["citations"]
    uri, start, end = citation["uri"], citation["start"], citation["end"]
    assert run(settings, "verify", str(file)) == 0
    out = capsys.readouterr().out
    assert out == f"valid     {uri}, characters {start}-{end}\n1 citation: 1 valid.\n"
    (settings.corpus / uri).rename(settings.corpus / "renamed.txt")
    assert run(settings, "verify", str(file)) == 1
    place = f"characters {start}-{end}"
    assert capsys.readouterr().out == (
        f"moved     {uri}, {place}, now renamed.txt, {place}\n1 citation: 1 moved.\n"
    )
    assert run(settings, "verify", str(file), "--json") == 1
    assert json.loads(capsys.readouterr().out) == {
        "citations": [
            {
                "uri": uri,
                "start": start,
                "end": end,
                "state": "moved",
                "moved_to": {"uri": "renamed.txt", "start": start, "end": end},
            }
        ]
    }


def test_an_answer_without_citations_is_sound(
    article_index: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(article_index, "ask", REFUSED, "--json")
    monkeypatch.setattr("sys.stdin", io.StringIO(capsys.readouterr().out))
    assert run(article_index, "verify", "-") == 0
    assert capsys.readouterr().out == "0 citations.\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"answer"', "not JSON"),
        ('[{"uri": "a"}]', "citations[0].quote: expected a text"),
        (b"\xff", "not UTF-8"),
        (None, "No such file or directory"),
    ],
    ids=["not JSON", "not citations", "not UTF-8", "no file"],
)
def test_a_damaged_answer_is_usage(
    settings: Settings,
    capsys: pytest.CaptureFixture[str],
    content: str | bytes | None,
    message: str,
) -> None:
    if content is not None:
        fill(Path(), {"answer.json": content})
    assert run(settings, "verify", "answer.json") == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"qa: answer.json: {message}")
    assert captured.out == ""


def test_the_sources_are_verified(indexed: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(indexed, "verify") == 0
    assert capsys.readouterr().out == "3 sources: 3 unchanged.\n"
    fill(indexed.corpus, {"notes.txt": "Changed.", "new.txt": "New."})
    (indexed.corpus / "rivers.md").unlink()
    assert run(indexed, "verify") == 1
    assert capsys.readouterr().out == (
        "new       new.txt\nchanged   notes.txt\nmissing   rivers.md\n"
        "4 sources: 1 unchanged, 1 new, 1 changed, 1 missing.\n"
    )
    assert run(indexed, "verify", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["generation"] == generation.current(indexed.index).name
    assert {entry["uri"]: entry["state"] for entry in found["sources"]} == {
        "cities/vienna.md": "unchanged",
        "new.txt": "new",
        "notes.txt": "changed",
        "rivers.md": "missing",
    }
    shutil.rmtree(indexed.index)
    assert run(indexed, "verify") == 3


# events


def test_the_build_is_told_as_events(fresh: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert run(fresh, "index", "--events") == 0
        captured = capsys.readouterr()
        *progress, last = [json.loads(line) for line in captured.out.splitlines()]
        assert {"phase": "read", "done": 3, "total": 3} in progress
        assert progress[-1] == {"phase": "embed", "done": 4, "total": 4}
        assert (list(last), last["report"]["sources"]["added"]) == (["report"], 3)
        shutil.rmtree(fresh.corpus)
        assert run(fresh, "index", "--events") == 4
        (error,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert error["kind"] == "SourceError"
        assert error["error"].endswith("no such folder; name it with --corpus")
    finally:
        signal.signal(signal.SIGTERM, before)


def test_events_are_ten_a_second_and_the_end_of_each_phase(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("qa.cli.time.monotonic", lambda: now)
    events = _Events()
    for phase, total in (("read", 500), ("split", 1)):
        for done in range(1, total + 1):
            events(phase, done, total)
            now += 0.001
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    read = [event["done"] for event in told if event["phase"] == "read"]
    assert read[0] == 1
    assert read[-1] == 500
    assert len(read) == 6  # the first, one each tenth of a second, the last
    assert told[-1] == {"phase": "split", "done": 1, "total": 1}


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(qa.errors).values()
        if isinstance(kind, type) and issubclass(kind, QAError)
    ],
    ids=lambda kind: kind.__name__,
)
def test_every_error_has_an_exit_code(kind: type[QAError]) -> None:
    codes = [EXIT_CODES[above] for above in kind.__mro__ if above in EXIT_CODES]
    expected = {
        "ConfigError": 2,
        "QuestionError": 2,
        "CitationFileError": 2,
        "UnknownSource": 2,
        "UnknownGeneration": 2,
        "IndexMissing": 3,
        "IndexDamaged": 3,
        "IndexIncompatible": 3,
    }
    assert codes[0] == expected.get(kind.__name__, 4)


# in a process of its own

HEAVY = ("torch", "transformers", "sentence_transformers", "faiss", "openvino", "flask", "tantivy")
PROBE = f"""
import sys
{{code}}
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROBE.replace("{code}", code), *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


def test_the_commands_are_imported_without_what_is_heavy() -> None:
    result = process("import qa.cli")
    assert (result.returncode, result.stderr.split()) == (0, [])


def test_help_is_printed_without_what_is_heavy() -> None:
    code = """
from qa.cli import main
try:
    main(["--help"])
except SystemExit:
    pass
"""
    result = process(code)
    assert result.stderr.split() == []
    for command in ("index", "ask", "serve", "status", "sources", "verify", "eval", "doctor"):
        assert f"\n    {command} " in result.stdout


def test_ask_does_not_import_torch(article_index: Settings) -> None:
    code = "from qa.cli import main\ncode = main(sys.argv[1:])\nprint(code)"
    result = process(code, "ask", "--index", str(article_index.index), ANSWERED)
    assert result.stdout.splitlines()[-1] == "0"
    assert result.stderr.split() == ["faiss", "openvino", "tantivy"]


@pytest.mark.parametrize(
    ("question", "index", "code"),
    [(ANSWERED, True, 0), (REFUSED, True, 1), (" ", True, 2), (ANSWERED, False, 3)],
    ids=["answered", "refused", "empty", "no index"],
)
def test_the_exit_code_is_that_of_the_process(
    article_index: Settings, tmp_path: Path, question: str, index: bool, code: int
) -> None:
    folder = article_index.index if index else tmp_path / "none"
    result = subprocess.run(
        [sys.executable, "-m", "qa", "ask", "--index", str(folder), question],
        capture_output=True,
        check=False,
    )
    assert result.returncode == code
    assert b"Traceback" not in result.stderr


def test_a_fault_of_the_program_is_no_refusal(
    article_index: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A traceback once ended with exit code 1, which means that the sources do not answer."""

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("here")

    monkeypatch.setattr("qa.assistant.retrieve", fail)
    assert run(article_index, "ask", ANSWERED) == 4
    assert capsys.readouterr().err.endswith("qa: ZeroDivisionError: here\n")

"""Adversarial texts for every verifier."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from hone.core.errors import RewardError, TaskError
from hone.core.problem import Problem, Verdict
from hone.tasks.verifiers import Choice, Exact, Math, Number, Regex, Verifier, make_verifier
from hone.tasks.verifiers.reading import marked, tail

LONG = "word " * 20_000  # 100,000 characters
CONTROL = "".join(map(chr, range(32))) + "\x7f\x80\u200b\u202e\ud800"


def verify(verifier: Verifier, answer: object, text: str) -> Verdict:
    return verifier.verify(Problem(prompt="?", answer=answer, task="test"), text)


def right(verifier: Verifier, answer: object, text: str) -> bool:
    verdict = verify(verifier, answer, text)
    assert verdict.status == "ok", verdict.detail
    return verdict.reward == 1.0


NUMBER = [
    # the number itself, and inside a longer one
    ("12", "12", True),
    (12, "12", True),
    ("12", "312", False),
    ("12", "123", False),
    ("12", "12.5", False),
    ("12", "0.12", False),
    ("12", "1.12", False),
    ("12", "A12B", False),
    ("12", "x12", False),
    ("12", "12,345", False),
    ("12", "12/5", False),
    ("12", "12e3", False),
    ("12", "12km", True),
    ("12", "It is 12.", True),
    ("12", "It is 12, I think", True),
    # where it stands
    ("12", "First 7, then 12", True),
    ("12", "First 12, then 7", False),
    ("12", "#### 12\nThat is 5 more than 7.", True),
    ("12", "The answer is 12. It took 5 minutes.", False),
    ("12", "Answer: 5\nNo. Answer: 12", True),
    ("12", "Answer: 12\nNo. Answer: 5", False),
    ("12", "**Answer:** 12", True),
    ("12", "**Final Answer:**\n\n12\n", True),
    ("12", r"so \boxed{12}. Done in 3 steps", True),
    ("12", r"\boxed{12", True),
    ("12", "<answer>12</answer> 13", True),
    ("12", "#### 5 + 7 = 12", True),
    # several answers
    ("12", "#### 12 or 15", False),
    ("12", "Answer: 11, 12, 13", False),
    ("12", r"\boxed{12} or \boxed{15}", False),
    ("12", "#### 12 12", True),
    ("12", "Answer: 5-12", False),
    # thousands separators
    ("1234567", "1,234,567", True),
    ("1,234,567", "1234567", True),
    ("1234.5", "1,234.50", True),
    ("1234", "1\u202f234", True),
    ("1234", "1\u00a0234", True),
    ("1234", "1{,}234", True),
    ("1234", r"1\,234", True),
    ("1234", "1,23,4", False),
    ("4", "1,23,4", False),
    ("12", "1,2", False),
    ("2", "#### 1,2", False),
    ("3", "1.2.3", False),
    ("1234", "12,34", False),
    # currency, percent, units
    ("12", "$12", True),
    ("12", "$ 12", True),
    ("12", r"\$12", True),
    ("12", "€12.00", True),
    ("12", "US$12", True),
    ("-12", "-$12", True),
    ("-12", "$-12", True),
    ("12", "-$12", False),
    ("50", "50%", True),
    ("50", r"50\%", True),
    ("0.5", "50%", False),
    # fractions
    ("0.75", "3/4", True),
    ("3/4", "0.75", True),
    ("3/4", r"\frac{3}{4}", True),
    ("3/4", r"\boxed{\dfrac{3}{4}}", True),
    ("3/4", "6 / 8", True),
    ("3/4", "¾", True),
    ("1.5", "1 1/2", True),
    ("1.5", "1½", True),
    ("-1.5", "-1 1/2", True),
    ("3", "3/4", False),
    ("4", "3/4", False),
    ("0", "1/0", False),
    ("1", "1/0", False),
    ("2024", "1/2/2024", False),
    # signs
    ("-5", "-5", True),
    ("-5", "\u22125", True),
    ("-5", "#### \u22125", True),
    ("5", "-5", False),
    ("5", "\u22125", False),
    ("-5", "5", False),
    ("-5", "10-5", False),
    ("5", "+5", True),
    ("0", "-0", True),
    # other forms
    (".5", "0.5", True),
    (0.1, "0.1", True),
    ("1500", "1.5e3", True),
    ("1e-3", "0.001", True),
    ("12", "\uff11\uff12", True),
    ("7", "007", True),
    # nothing there
    ("12", "", False),
    ("12", "   \n", False),
    ("12", "####", False),
    ("12", "twelve", False),
    ("12", "#### none", False),
    ("12", "nan", False),
    ("12", "1" * 100_000, False),
    ("12", "1e999999999", False),
    ("12", "1e" + "9" * 50_000, False),
    ("12", LONG + "12", True),
    ("12", "12 " + LONG, False),
    ("12", "12" + "x" * 100_000, False),
    ("2", "1" + "2" * 100_000, False),
    ("12", CONTROL + "12" + CONTROL, True),
    ("12", "1\x002", False),
    ("12", "#### 1\u200b2", False),
]


@pytest.mark.parametrize(("answer", "text", "good"), NUMBER, ids=range(len(NUMBER)))
def test_number(answer: object, text: str, good: bool) -> None:
    assert right(Number(), answer, text) is good


@pytest.mark.parametrize(
    "text",
    [
        *("1," * 50_000, "1/" * 50_000, "1 " * 50_000, "1 1" * 33_000, "." * 100_000),
        *("-" * 100_000, "$" * 100_000, "½" * 100_000, "\\frac{1}" * 12_000),
        *("####" * 25_000, "\\boxed{" * 15_000, "<answer>" * 12_000, "answer" + " " * 100_000),
    ],
    ids=range(13),
)
@pytest.mark.parametrize("verifier", [Number(), Exact(), Choice()], ids=["number", "exact", "choice"])
def test_long_repetitions_are_judged_at_once(verifier: Verifier, text: str) -> None:
    start = time.perf_counter()
    answer = "A" if isinstance(verifier, Choice) else "12"
    assert not right(verifier, answer, text)
    assert time.perf_counter() - start < 3


def test_number_reads_only_one_number_as_an_answer() -> None:
    for bad in ("twelve", "12 or 13", "", "12 apples", True, None):
        verdict = verify(Number(), bad, "12")
        assert verdict.status == "error"
        assert "not one number" in verdict.detail


def test_number_clusters_by_value() -> None:
    number = Number()
    half = [number.parse(t) for t in ("1/2", "0.50", "½", r"\frac{1}{2}")]
    assert {number.key(a) for a in half} == {"1/2"}
    assert number.same(half[0], half[1])
    assert not number.same(None, None)
    assert number.key(None) == ""


EXACT = [
    ("Paris", "Paris", True),
    ("Paris", "  Paris.\n", True),
    ("Paris", "It is far.\nAnswer: Paris", True),
    ("Paris", "The answer is **Paris**.", True),
    ("Paris", "<answer>\nParis\n</answer>", True),
    ("New  York", "New\nYork", True),
    ("caf\u00e9", "cafe\u0301", True),
    ("Paris", "paris", False),
    ("Paris", "Paris, France", False),
    ("Paris", "Answer: Paris or Rome", False),
    ("Paris", "I thought of Paris", False),
    ("12", "312", False),
    ("1,000", "1000", False),
    ("$5", "5", False),
    ("50%", "50", False),
    ("-5", "\u22125", False),
    ("1/2", "0.5", False),
    ("Paris", "", False),
    ("Paris", LONG + "Paris", False),
    ("Paris", LONG + "\nAnswer: Paris", True),
    ("Paris", CONTROL + "Paris", False),
]


@pytest.mark.parametrize(("answer", "text", "good"), EXACT, ids=range(len(EXACT)))
def test_exact(answer: str, text: str, good: bool) -> None:
    assert right(Exact(), answer, text) is good


CHOICE = [
    ("B", "B", True),
    ("B", "(B)", True),
    ("(B)", "B.", True),
    ("B", "B) Paris", True),
    ("B", "The answer is (B).", True),
    ("B", "The answer is B", True),
    ("B", "Answer: B. A dog", True),
    ("B", r"\boxed{\text{B}}", True),
    ("B", r"\boxed{B}", True),
    ("B", "A is wrong.\nAnswer: B", True),
    ("B", "**B**", True),
    ("B", "Answer: A or B", False),
    ("B", "Answer: (A) or (B)", False),
    ("B", "Answer: b", False),
    ("B", "Answer: ABBA", False),
    ("B", "Answer: 12", False),
    ("A", "A dog", False),
    ("B", "", False),
    ("B", "Bananas", False),
    ("B", LONG + "\nAnswer: B", True),
    ("B", "B" * 100_000, False),
    ("B", CONTROL + "B" + CONTROL, True),
    ("B", "Answer: 1,000 B", True),
    ("B", "Answer: \u2212B", True),
    ("B", "Answer: 50% of $5, 1/2", False),
]


@pytest.mark.parametrize(("answer", "text", "good"), CHOICE, ids=range(len(CHOICE)))
def test_choice(answer: str, text: str, good: bool) -> None:
    assert right(Choice(), answer, text) is good


def test_choice_refuses_an_answer_that_is_no_letter() -> None:
    for bad in ("Z", "AB", "", 1):
        assert verify(Choice(), bad, "B").status == "error"


REGEX = [
    (r"= *(-?\d+)$", "12", "5 + 7 = 12", True),
    (r"= *(-?\d+)$", "12", "5 + 7 = 312", False),
    (r"\d+", "12", "11 and 12", True),
    (r"\d+", "12", "12 and 11", False),
    (r"\d+", "12", "", False),
    (r"\d+", "12", LONG + "12", True),
    (r"\d+", "12", CONTROL + "12" + CONTROL, True),
    (r"\$([\d,]+)", "1,000", "$1,000", True),
    (r"(\d+)%", "50", "50%", True),
    (r"(\d+/\d+)", "1/2", "1/2", True),
    (r"[-\u2212]\d+", "-5", "\u22125", False),
    (r"(x)|y", "x", "y", False),
]


@pytest.mark.parametrize(("pattern", "answer", "text", "good"), REGEX, ids=range(len(REGEX)))
def test_regex(pattern: str, answer: str, text: str, good: bool) -> None:
    assert right(Regex(pattern), answer, text) is good


def test_regex_that_backtracks_for_ever_is_a_timeout_and_the_next_call_works() -> None:
    verdict = verify(Regex(r"(a+)+b", seconds=0.5), "a", "a" * 60)
    assert verdict.status == "timeout"
    assert verdict.reward is None
    assert right(Regex(r"\d+"), "12", "12")


def test_regex_refuses_a_bad_pattern() -> None:
    with pytest.raises(TaskError, match="no regular expression"):
        Regex("(")


MATH = [
    ("12", "12", True),
    ("12", "312", False),
    ("1/2", "0.5", True),
    ("0.5", "50%", True),
    ("50%", r"\boxed{50\%}", True),
    (r"\frac{1}{2}", "The answer is $0.5$", True),
    (r"$\frac{1}{2}$", "1/2", True),
    ("x+1", "$1+x$", True),
    ("x+1", "$2+x$", False),
    (r"\sqrt{8}", r"\boxed{2\sqrt{2}}", True),
    ("(1,2)", r"\boxed{(1,2)}", True),
    ("(1,2)", r"\boxed{(2,1)}", False),
    ("12", r"\boxed{12} or \boxed{15}", False),
    ("1000000", "1,000,000", True),
    ("1,000,000", "1000000", True),
    ("12.50", "$12.50", True),
    ("-5", "\u22125", True),
    ("-5", "5", False),
    ("12", "", False),
    ("12", "no idea", False),
    ("12", LONG + "12", True),
    ("12", CONTROL + "12" + CONTROL, True),
    ("12", "1 " * 50_000, False),
]


@pytest.mark.parametrize(("answer", "text", "good"), MATH, ids=range(len(MATH)))
def test_math(answer: str, text: str, good: bool) -> None:
    assert right(Math(), answer, text) is good


def test_math_answers_cluster_by_equality() -> None:
    math = Math()
    half, same, other = (math.parse(t) for t in (r"\boxed{\frac{1}{2}}", "0.5", "2"))
    assert math.same(half, same)
    assert not math.same(half, other)
    assert not math.same(None, None)
    assert math.key(half) == math.key(same)


def test_math_runs_in_a_thread_and_stops_what_does_not_end() -> None:
    found: list[Verdict] = []

    def work() -> None:
        found.append(verify(Math(), r"\frac{1}{2}", "$0.5$"))
        found.append(verify(Math(seconds=1.0), "12", "$10000000!$"))  # multiplied out digit by digit
        found.append(verify(Math(), "12", "12"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert [v.status for v in found] == ["ok", "timeout", "ok"]
    assert (found[0].reward, found[2].reward) == (1.0, 1.0)


def test_math_whose_answer_cannot_be_read_is_an_error() -> None:
    verdict = verify(Math(), "$", "12")
    assert verdict.status == "error"
    assert "no expression" in verdict.detail


def test_marks() -> None:
    assert marked("no mark") is None
    assert marked("the answers are 3") is None
    assert marked(r"\boxed{a{b}c} d") == "a{b}c"
    assert marked("Answer = 3") == "3"
    assert marked("ANSWER IS: 3\nnext") == "3"


def test_tail_drops_the_word_it_cuts() -> None:
    assert tail("abc 123", 3) == " 123"
    assert tail("abc 5123", 3) == ""
    assert tail("5 123", 5) == "5 123"


@pytest.fixture
def functions(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(
        """
import asyncio, signal, time

def plain(problem, text): return float(text == problem.answer)
def pair(text, answer): return text == answer
def raises(text, answer): raise KeyError("gone")
def hangs(text, answer):
    while True: pass
def dies(text, answer):
    import os; os._exit(3)
def nan(text, answer): return float("nan")
def infinite(text, answer): return float("inf")
def word(text, answer): return "good"
def nothing(text, answer): return None
def late(text, answer): raise TimeoutError("server")
def prints(text, answer): print("noise"); return 1
def signals(text, answer):
    signal.alarm(5); signal.alarm(0); return 1.0
def score(completions, answer, level, **kwargs):
    return [float(c == a) + l for c, a, l in zip(completions, answer, level)]
async def later(completions, answer, **kwargs):
    await asyncio.sleep(0); return [None if c == "?" else 0.25 for c in completions]
def short(completions, **kwargs): return []
def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    return {"score": float(solution_str == ground_truth), "length": len(solution_str)}
def broken_score(solution_str, ground_truth): return {"acc": 1}
"""
    )
    return path


def row(answer: str = "12") -> Problem:
    return Problem(prompt="?", answer=answer, task="test", meta={"columns": {"answer": answer, "level": 2}})


def judged(path: Path, kind: str, name: str, text: str = "12", **options: float) -> Verdict:
    return make_verifier(f"{kind}:{path}:{name}").verify(row(), text)


def test_functions_of_every_form(functions: Path) -> None:
    assert judged(functions, "python", "plain").reward == 1.0
    assert judged(functions, "python", "plain", "13").reward == 0.0
    assert judged(functions, "python", "pair").reward == 1.0
    assert judged(functions, "trl", "score").reward == 3.0
    assert judged(functions, "trl", "later").reward == 0.25
    verl = judged(functions, "verl", "compute_score")
    assert (verl.reward, verl.parts, verl.answer) == (1.0, {"length": 2.0}, "12")


def test_function_failures_are_statuses_never_zeros(
    functions: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    def status(kind: str, name: str, text: str = "12") -> tuple[str, str]:
        verdict = judged(functions, kind, name, text)
        assert verdict.reward is None
        return verdict.status, verdict.detail.splitlines()[0] if verdict.detail else ""

    assert status("python", "raises") == ("error", "KeyError: 'gone' (mine.py, line 6)")
    assert status("python", "dies") == ("error", "the worker ended with exit code 3")
    assert status("python", "nan") == ("error", "it returned nan, which is not finite")
    assert status("python", "infinite")[0] == "error"
    assert status("python", "word") == ("error", "it returned str 'good', not a number")
    assert status("python", "late")[0] == "timeout"
    assert status("python", "nothing")[0] == "not_applicable"
    assert status("trl", "later", "?")[0] == "not_applicable"
    assert status("trl", "short")[0] == "error"
    assert status("verl", "broken_score")[0] == "error"
    assert judged(functions, "python", "signals").reward == 1.0  # the child calls it in its main thread
    printing = judged(functions, "python", "prints")
    assert (printing.reward, printing.detail) == (1.0, "noise")
    assert capfd.readouterr() == ("", "")


def test_function_that_hangs_is_a_timeout(functions: Path) -> None:
    from hone.tasks.verifiers import Python

    verdict = Python(f"{functions}:hangs", seconds=0.5).verify(row(), "12")
    assert verdict.status == "timeout"
    assert "0.5 s" in verdict.detail


@pytest.mark.parametrize("text", ["", LONG, CONTROL, "1" * 100_000, "\u22125", "$1,000", "50%", "1/2"])
@pytest.mark.parametrize("kind", ["python:{}:pair", "trl:{}:score", "verl:{}:compute_score"])
def test_functions_get_any_text_whole(functions: Path, kind: str, text: str) -> None:
    verifier = make_verifier(kind.format(functions))
    problem = Problem(prompt="?", answer=text, task="test", meta={"columns": {"answer": text, "level": 0}})
    assert verifier.verify(problem, text).reward == 1.0
    assert verifier.verify(problem, text + "1").reward == 0.0


def test_functions_of_another_form_are_refused(functions: Path) -> None:
    with pytest.raises(RewardError, match=r"Use `trl:.*:score`"):
        make_verifier(f"python:{functions}:score")
    with pytest.raises(RewardError, match=r"Use `python:.*:plain`"):
        make_verifier(f"verl:{functions}:plain")


def test_unknown_names() -> None:
    with pytest.raises(TaskError, match="Did you mean `number`"):
        make_verifier("numbr")
    with pytest.raises(TaskError, match="regex:<pattern>"):
        make_verifier("regex")
    with pytest.raises(TaskError, match="takes no argument"):
        make_verifier("math:x")

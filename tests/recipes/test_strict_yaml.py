"""YAML without surprises: what is typed is what is read, and nothing has no end."""

from __future__ import annotations

import pytest

from hone.core.errors import RecipeError, quoted
from hone.recipes.load import parse_overrides, read, resolve
from hone.recipes.strict_yaml import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("010", "010"), ("1:30", "1:30"), ("2026-01-01", "2026-01-01"), ("0x1F", 31), ("1_000", 1000), ("-3", -3),
        ("0", 0), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1.5e3", 1500.0), (".inf", float("inf")), ("true", True),
        ("off", False), ("~", None), ("'on'", "on"), ("[1, {a: b}]", [1, {"a": "b"}]), ("=", "="), ("1.2.3", "1.2.3"),
    ],
)  # fmt: skip
def test_values_are_those_of_json(text, value):
    found = parse(f"key: {text}", "here")["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [*x]", "not valid YAML|deep"),
        ("a: &x {b: *x}", "not valid YAML|deep"),
        ("a: " + "[" * 50 + "]" * 50, "more than 20 deep"),
        ("a: " + "[" * 5000 + "]" * 5000, "deep"),
        (
            "\n".join(f"k{i}: &a{i} [{', '.join([f'*a{i - 1}' if i else 'x'] * 9)}]" for i in range(9)),
            "over 10,000",
        ),
        ("a: 1\na: 2", "`a` is given twice"),
        ("{b: {a: 1, a: 2}}", "`a` is given twice"),
        ("task: &x {name: maze}\neval: {<<: *x}", "`eval.<<` is not a key"),
        ("a: !!int x", "is no number"),
        ("a: !!float ''", "is no number"),
        ("a: !!bool x", "is no truth value"),
        ("a: !!timestamp 9", "not valid YAML"),
        ("a: !!set {x}", "not valid YAML"),
        ("a: !!binary xx", "not valid YAML"),
        ("a: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("a: 9" + "9" * 5000, "is no number"),
        ('a: "\\ud800"', "half a character"),
        ("a: \x00", "not valid YAML"),
        ("3: a", "key `3` is not text"),
        ("on: a", "key `True` is not text"),
        ("? [a]\n: b", "not text"),
        ("a: [", "not valid YAML"),
        ("- a", "not a mapping"),
        ("", "not a mapping"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_what_is_no_recipe_is_one_error(tmp_path, text, message):
    path = tmp_path / "r.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=message) as caught:
        resolve(path)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "r.yaml"
    path.write_bytes(b"task: \xff\n")
    with pytest.raises(RecipeError, match="not UTF-8"):
        read(path)
    with pytest.raises(RecipeError, match="cannot be read"):
        read(_folder(tmp_path))
    with pytest.raises(RecipeError, match="does not exist"):
        read(tmp_path / "gone.yaml")
    with pytest.raises(RecipeError, match="no recipe"):
        read("x" * 300)


def _folder(where):
    folder = where / "folder.yaml"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("value", [{1: 2}, {"a": {2: 3}}, {"a": [{None: 1}]}])
def test_mappings_of_python_have_keys_of_text(value):
    with pytest.raises(RecipeError, match="not text"):
        resolve({"task": "maze", **value} if "a" in value else value)
    with pytest.raises(RecipeError, match="not text"):
        resolve({"task": "maze"}, value)


def test_a_mapping_within_itself():
    data: dict = {"task": "maze"}
    data["credit"] = data
    with pytest.raises(RecipeError, match="deep"):
        resolve(data)


@pytest.mark.parametrize("word", ["a=" + "[" * 3000, "a=[", "a=\x00", "a=!!int x"])
def test_overrides_that_are_no_yaml_are_text(word):
    assert parse_overrides([word]) == {"a": word[2:]}


@pytest.mark.parametrize("word", ["a=" + "[" * 30 + "]" * 30, "a=&x [*x]"])
def test_overrides_without_end(word):
    with pytest.raises(RecipeError, match="deep"):
        parse_overrides([word])


def test_quotes_are_short():
    assert quoted("ab") == "'ab'"
    assert len(quoted("x" * 10_000)) < 120
    assert quoted(10**5000) == "a number of thousands of digits"

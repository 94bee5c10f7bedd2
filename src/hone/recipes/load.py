"""From a recipe's name, file or mapping, and overrides, to resolved recipes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hone.catalog import STAGE_KEYS, build_method, fill
from hone.core.errors import RecipeError, nearest, quoted
from hone.core.recipe import Recipe, phase_name, phase_number
from hone.core.registry import complaint
from hone.methods import cards
from hone.recipes.strict_yaml import StrictLoader, check_values, parse

SHIPPED = "hone.recipes"


def names() -> list[str]:
    """Recipes that ship with the package."""
    found = resources.files(SHIPPED).iterdir()
    return sorted(f.name.removesuffix(".yaml") for f in found if f.name.endswith(".yaml"))


def text(name: str) -> str:
    """The file of a shipped recipe. Raises RecipeError for an unknown name."""
    if name not in names():
        raise RecipeError(f"There is no recipe `{name}`.", nearest(name, names()))
    return (resources.files(SHIPPED) / f"{name}.yaml").read_text(encoding="utf-8")


def read(source: str | Path | Mapping[str, Any]) -> dict[str, Any]:
    """The mapping of a recipe: a shipped name, a path to a YAML file, or the mapping itself."""
    if isinstance(source, Mapping):
        data = dict(source)
        check_values(data, "the recipe")
        return data
    if not _is_file(source):
        return _mapping(text(str(source)), str(source))
    return _mapping(_body(Path(source)), str(source))


def read_list(path: Path) -> list[dict[str, Any]]:
    """The cells of a sweep: a YAML file with a list of mappings of keys. Raises RecipeError for anything else."""
    data = parse(_body(path), str(path))
    if not isinstance(data, list) or not all(isinstance(one, Mapping) for one in data):
        raise RecipeError(
            f"{path} is not a list of mappings.", "Write `- {num_generations: 4}`, one line a cell."
        )
    return [_numbers(dict(one)) for one in data]


def _body(path: Path) -> str:
    """The text of a recipe file."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise RecipeError(
            f"The recipe file {path} does not exist.", f"Shipped recipes: {', '.join(names())}."
        ) from None
    except UnicodeDecodeError as error:
        raise RecipeError(
            f"The recipe file {path} is not UTF-8: {error.reason} at byte {error.start}.", "Save it as UTF-8."
        ) from None
    except OSError as error:
        raise RecipeError(f"The recipe file {path} cannot be read: {error.strerror}.", "Check it.") from None


def _is_file(source: str | Path) -> bool:
    """Whether `source` names a file rather than a shipped recipe."""
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        return True
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _mapping(body: str, where: str) -> dict[str, Any]:
    data = parse(body, where)
    if not isinstance(data, dict):
        raise RecipeError(f"{where} is not a mapping of keys to values.", "Write `key: value` lines.")
    return data


def scalar(value: str) -> Any:
    """The value of an override as YAML reads it, with `1e-6` a number; text that is no YAML stays as it is."""
    try:
        parsed = yaml.load(value, Loader=StrictLoader)
    except (yaml.YAMLError, RecursionError):
        return value
    check_values(parsed, quoted(value))
    return _numbers(parsed)


def _numbers(value: Any) -> Any:
    """Text that is a number in scientific notation becomes one (YAML 1.1 wants a dot in it)."""
    if isinstance(value, list):
        return [_numbers(v) for v in value]
    if isinstance(value, dict):
        return {k: _numbers(v) for k, v in value.items()}
    if isinstance(value, str) and "e" in value.lower() and value[:1] in "+-.0123456789":
        try:
            return float(value)
        except ValueError:
            return value
    return value


def parse_overrides(pairs: Sequence[str]) -> dict[str, Any]:
    """`key=value` words as a flat mapping of dotted keys. Raises RecipeError for a word without `=`."""
    out: dict[str, Any] = {}
    for pair in pairs:
        key, found, value = pair.partition("=")
        if not found or not key:
            raise RecipeError(
                f"`{pair}` is not an override.", "Write `key=value`, for example `learning_rate=1e-4`."
            )
        out[key] = scalar(value)
    return out


def merge(data: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`data` with dotted keys set. `task=maze` replaces the whole task, `task.sizes=9` one option of it."""
    out = _numbers(dict(data))
    for dotted, value in overrides.items():
        *parents, last = dotted.split(".")
        node = out
        for parent in parents:
            below = node.get(parent)
            if isinstance(below, str):
                below = {"name": below}
            if below is None:
                below = {}
            if not isinstance(below, Mapping):
                raise RecipeError(
                    f"`{dotted}` reaches into `{parent}`, which is {below!r}.", "Set the whole key."
                )
            node[parent] = dict(below)
            node = node[parent]
        node[last] = value
    return out


def resolve(
    source: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None = None
) -> list[Recipe]:
    """The phases of a recipe, each complete and checked; a recipe without `phases` is one phase.

    A phase inherits every key of the recipe and overrides it with its own. A later phase starts from the model of the
    one before it (`phase-1`, `phase-2`, ...) unless it names another. Raises RecipeError that names the key.
    """
    base, chosen = read(source), dict(overrides or {})
    check_values(chosen, "what is overridden")
    data = merge(base, chosen)
    shipped = not isinstance(source, Mapping) and not _is_file(source)
    # Whoever writes a recipe leaves most keys out: one with all of them was resolved by a run.
    mine = {} if shipped or set(Recipe.model_fields) <= set(base) else base
    written = _dotted(mine) | frozenset(chosen) | _dotted(chosen)
    phases = data.pop("phases", None)
    if phases is None:
        return [_one(data, written)]
    if not isinstance(phases, list) or not phases or not all(isinstance(p, Mapping) for p in phases):
        raise RecipeError("`phases` is not a list of mappings.", "Write one mapping of keys for each phase.")
    out = []
    for number, phase in enumerate(phases, start=1):
        before = {"model": phase_name(number - 1)} if number > 1 else {}
        recipe = _one({**data, **before, **phase}, written if shipped else written | _dotted(phase))
        for name in (recipe.model, *(each.model for each in recipe.models.values())):
            if (at := phase_number(name)) is not None and not 1 <= at < number:
                raise RecipeError(
                    f"Phase {number} names the model `{name}`, which no phase before it makes.",
                    "Name an earlier phase.",
                )
        out.append(recipe)
    return out


def _dotted(data: Mapping[str, Any]) -> frozenset[str]:
    """The keys of a recipe, and those of its blocks and pieces with a dot."""
    below = {f"{key}.{k}" for key, value in data.items() if isinstance(value, Mapping) for k in value}
    return frozenset({*data, *below})


def _one(data: Mapping[str, Any], written: frozenset[str]) -> Recipe:
    """Validate one phase and let the method's pieces claim what is left."""
    for key in data:
        for stage in STAGE_KEYS:
            if key not in Recipe.model_fields and f"{stage}.{key}" in written and key in written:
                raise RecipeError(f"`{key}` and `{stage}.{key}` are one option, set twice.", "Keep one.")
    data = _named(data)
    known = {k: v for k, v in data.items() if k in Recipe.model_fields}
    loose = {k: v for k, v in data.items() if k not in Recipe.model_fields}
    try:
        recipe = fill(Recipe.model_validate(known), loose)
    except ValidationError as error:
        raise _explain(error) from None
    build_method(recipe)
    return recipe.with_written(written)


def _named(data: Mapping[str, Any]) -> dict[str, Any]:
    """Options written under a stage without a piece (`credit.floor=0.1`) are those of the card's piece."""
    out = dict(data)
    method = out.get("method", "rloo")
    if not isinstance(method, str):  # the schema says what is wrong with it
        return out
    for stage in STAGE_KEYS:
        options = out.get(stage)
        if isinstance(options, Mapping) and "name" not in options:
            choice = cards.load_training(method).composition.get(stage)
            if choice is None:
                raise RecipeError(f"`{stage}` has options but no piece.", f"Set `{stage}.name`.")
            own = {"name": choice} if isinstance(choice, str) else choice
            if not isinstance(own, Mapping):
                raise RecipeError(f"`{stage}` of `{method}` is a chain.", f"Write the whole `{stage}`.")
            out[stage] = {**own, **options}
    return out


def _explain(error: ValidationError) -> RecipeError:
    """pydantic's first complaint in one sentence."""
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return RecipeError(f"The recipe has no `{key}`.", f"Set `{key}`.")
    if first["type"] == "extra_forbidden":
        fields: Mapping[str, Any] = Recipe.model_fields
        for part in first["loc"][:-1]:
            fields = getattr(getattr(fields.get(str(part)), "annotation", None), "model_fields", {})
        return RecipeError(f"`{key}` is not a key.", nearest(str(first["loc"][-1]), sorted(fields)))
    wrong, mend = complaint(first)
    return RecipeError(f"`{key}` is {quoted(first['input'])}: {wrong}.", mend)


def example(method: str) -> Recipe:
    """A recipe by `method`: the last phase of what ships under its name, or mazes."""
    return resolve(method)[-1] if method in names() else resolve({"task": "maze", "method": method})[0]

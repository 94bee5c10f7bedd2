"""The action space of a run: the tokens that its actions are."""

from __future__ import annotations

from collections.abc import Sequence

from hone.core.errors import RecipeError
from hone.policies.token_policy import TokenPolicy


def action_space(policy: TokenPolicy, actions: Sequence[str]) -> tuple[int, ...]:
    """The token of each action, in their order; empty for no actions.

    Raises RecipeError for an action that is not one token, or that is another one's token.
    """
    found: dict[int, str] = {}
    for action in actions:
        tokens = policy.encode_text(action)
        if len(tokens) != 1:
            raise RecipeError(
                f"The action `{action}` of `actions` is {len(tokens)} tokens under this tokenizer.",
                "Give actions of one token each.",
            )
        token = int(tokens[0])
        if token in found:
            raise RecipeError(
                f"The actions `{found[token]}` and `{action}` are the same token.", "Give each its own."
            )
        found[token] = action
    return tuple(found)

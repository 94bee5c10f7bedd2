"""A chat model behind an HTTP endpoint, as a reflector: anything that speaks OpenAI's chat completions."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hone.core.errors import RewardError
from hone.core.problem import stable_hash
from hone.core.stages import Context
from hone.rewards.reflectors import Lived, Said, asked, decisions, first_line

KEY = "HONE_ENDPOINT_KEY"  # the environment variable with the endpoint's key, if it wants one
AT_ONCE = 32  # requests under way
RETRIES = 3  # after a failure that may pass, with growing pauses
TIMEOUT = 120.0  # seconds of one request
MISSING = "Install it: `pip install 'hone-rl[endpoints]'`."


@dataclass(frozen=True)
class Endpoint:
    """A chat model at `url` (`http://localhost:8000/v1`), asked as a model of `models` is.

    States and actions of the attempts leave the machine. Answers are sampled there, at the run's temperature and with
    a seed of their own for each; a server may ignore the seed, and a run is then not repeatable.
    """

    url: str
    model: str
    instruction: str = ""
    tokens: int = 2
    privileged: bool = False

    async def __call__(
        self, attempts: Sequence[Lived], actions: Sequence[str], number: int, context: Context
    ) -> Said:
        """What it says of each decision. Raises RewardError where the endpoint does not answer, with what it said."""
        openai = _client_library()
        noise = replace(context.noise, purpose="reflector").child(2)
        slots = asyncio.Semaphore(AT_ONCE)
        places = decisions(attempts)
        # Without a key of its own the client would send that of another service to a stranger.
        key = os.environ.get(KEY) or "none"

        async def one(client: Any, place: int, piece: int) -> Any:
            content = asked(*places[place], self.instruction)
            message = {"role": "user", "content": content} if isinstance(content, str) else content[0]
            async with slots:
                return await client.chat.completions.create(
                    model=self.model,
                    messages=[message],
                    max_tokens=self.tokens,
                    temperature=context.params.temperature,
                    seed=stable_hash(noise.seed, noise.step, noise.path, place, piece) % 2**31,
                    stop=["\n"],
                )

        try:
            async with openai.AsyncOpenAI(
                base_url=self.url, api_key=key, timeout=TIMEOUT, max_retries=RETRIES
            ) as client:
                # The first error ends the event loop's run, and with it all that is still to be asked.
                answers = await asyncio.gather(
                    *(one(client, place, piece) for place in range(len(places)) for piece in range(number))
                )
        except openai.OpenAIError as error:
            raise RewardError(
                f"The reflector's endpoint {self.url} gave no answer: {error}",
                f"Check `endpoint`, `endpoint_model` and the key in {KEY}; then resume the run.",
            ) from error
        texts = [first_line(answer.choices[0].message.content or "") for answer in answers]
        used = [answer.usage for answer in answers if answer.usage]
        return Said(
            [texts[i * number : (i + 1) * number] for i in range(len(places))],
            {
                "endpoint_prompt_tokens": float(sum(usage.prompt_tokens for usage in used)),
                "endpoint_answer_tokens": float(sum(usage.completion_tokens for usage in used)),
            },
        )


def _client_library() -> Any:
    """The library, which is an extra. Raises RewardError with the mend where it is not installed."""
    try:
        import openai
    except ImportError:
        raise RewardError("`reflector: endpoint` needs openai, which is not installed.", MISSING) from None
    return openai

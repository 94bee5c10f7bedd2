"""What a ledger's counts come to with a model: floating-point operations and bytes of each phase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hone.compute.cost import Decoder, training_flops
from hone.compute.ledger import Ledger

PHASES = ("sampling", "scoring", "training")  # what a step consists of; evaluations are beside it


@dataclass(frozen=True)
class Costs:
    """What a unit of each count costs. Bytes are those of one number: of a weight, and of a key or value in a cache."""

    decoder: Decoder
    parameters: int
    weight_bytes: int
    cache_bytes: int
    moment_bytes: int  # of the optimizer, for one parameter
    activation_bytes: int  # that one token of a training pass leaves for its backward part
    recomputed: bool  # layers run again in the backward part

    def flops(self, ledger: Ledger) -> dict[str, int]:
        """Operations by phase, evaluations included. Matrix products alone, as in `hone.compute.cost`."""
        d, c = self.decoder, ledger
        sampled = c.prompt_tokens + c.sampled_tokens - c.rollouts
        evaluated = c.eval_prompt_tokens + c.eval_tokens - c.eval_rollouts
        trained = d.forward_flops(c.trained_tokens, c.trained_predictions, c.trained_pairs)
        return {
            "sampling": d.forward_flops(sampled, c.sampled_tokens, c.sampled_pairs),
            "scoring": d.forward_flops(c.scored_tokens, c.scored_predictions, c.scored_pairs),
            "training": training_flops(trained, self.recomputed),
            "eval": d.forward_flops(evaluated, c.eval_tokens, c.eval_pairs),
        }

    def bytes(self, ledger: Ledger) -> dict[str, int]:
        """The least bytes that sampling reads and that training moves.

        A training pass reads the weights twice, and reads and writes their gradients; activations are written and read.
        An optimizer step reads weights, gradients and moments, and writes weights and moments.
        """
        weights = self.parameters * self.weight_bytes
        read = ledger.sampling_passes * self.decoder.weights * self.weight_bytes
        passes = 4 * ledger.training_passes * weights
        activations = 2 * ledger.trained_tokens * self.activation_bytes
        steps = ledger.updates * (3 * weights + 2 * self.parameters * self.moment_bytes)
        return {
            "sampling": read + ledger.cache_reads * self.decoder.cache * self.cache_bytes,
            "training": passes + activations + steps,
        }


def spent(costs: Costs | None, ledger: Ledger) -> Mapping[str, int]:
    """Running totals of the steps: `flops` of all phases, `flops/<phase>`, `bytes/<phase>`. Nothing of evaluations: a
    run that was stopped and resumed may have made more of them.

    Empty for a model whose costs are not known: a zero would be read as free.
    """
    if costs is None:
        return {}
    flops = costs.flops(ledger)
    line = {"flops": sum(flops[phase] for phase in PHASES)}
    line |= {f"flops/{phase}": flops[phase] for phase in PHASES}
    return line | {f"bytes/{phase}": count for phase, count in costs.bytes(ledger).items()}

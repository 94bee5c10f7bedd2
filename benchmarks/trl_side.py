"""TRL's GRPOTrainer on a workload, a step at a time."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from lengths import force

from hone.policies import shapes
from hone.policies.loading import resolve_device
from hone.training.bench.prompts import alternate
from hone.training.bench.stepping import synchronize
from hone.training.bench.workload import Workload

SEED = 0  # that hone's recipes have too, so that both models start from the same weights


def missing() -> str:
    """Why TRL cannot be measured here, or ''."""
    try:
        from trl import GRPOConfig, GRPOTrainer  # noqa: F401
    except Exception as error:  # a TRL that does not fit the installed transformers fails in many ways
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        return f"TRL cannot be imported ({first}). Install it with `pip install trl`, or measure with --hone-only."
    return ""


def rows_of_a_pass(workload: Workload) -> int:
    """Rollouts of one forward pass: the most that keep to its token budget, padding counted, and divide the step."""
    fitting = max(1, workload.max_tokens // (workload.prompt + workload.completion))
    return max(n for n in range(1, workload.rollouts + 1) if workload.rollouts % n == 0 and n <= fitting)


class TrlSide:
    """A trainer that is set up to take `steps` steps; `train` takes them.

    `seconds`, `sampling` and `peaks` have an entry for each: wall time, that of its generation, and on a GPU the
    bytes it held above what was held when it began. `lengths` has the tokens of each of its answers.
    """

    def __init__(self, workload: Workload, folder: Path, steps: int, paged: bool) -> None:
        from datasets import Dataset
        from transformers import PrinterCallback
        from transformers.utils import logging
        from trl import GRPOConfig, GRPOTrainer

        warnings.filterwarnings("ignore", category=FutureWarning)
        logging.set_verbosity_error()
        logging.disable_progress_bar()
        self.device = resolve_device(workload.device)
        self.seconds: list[float] = []
        self.sampling: list[float] = []
        self.peaks: list[int] = []
        self.lengths: list[list[int]] = []
        self.grad_norm: float | None = None
        self.model, tokenizer = shapes.build(workload.name, SEED)
        rows = rows_of_a_pass(workload)
        settings = GRPOConfig(
            output_dir=str(folder),
            max_steps=steps,
            per_device_train_batch_size=rows,
            gradient_accumulation_steps=workload.rollouts // rows,
            num_generations=workload.generations,
            max_completion_length=workload.completion,
            temperature=1.0,
            beta=0.0,
            num_iterations=1,
            loss_type="grpo",
            scale_rewards="group",
            learning_rate=workload.learning_rate,
            lr_scheduler_type="constant",
            optim="adamw_torch_fused",
            adam_beta1=0.9,
            adam_beta2=0.999,
            weight_decay=0.0,
            max_grad_norm=1.0,
            gradient_checkpointing=False,
            bf16=workload.dtype == "bfloat16",
            use_cpu=self.device.type == "cpu",
            dataloader_pin_memory=self.device.type != "cpu",
            shuffle_dataset=False,
            seed=SEED,
            logging_steps=steps,  # once, after the last step, for its gradient norm
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_transformers_continuous_batching=paged,
        )

        def reward(completions: list[str], completion_ids: list[list[int]], **columns: Any) -> list[float]:
            self.lengths.append([len(ids) for ids in completion_ids])
            return alternate(completions)

        self.trainer = GRPOTrainer(
            model=self.model,
            reward_funcs=reward,
            args=settings,
            train_dataset=Dataset.from_list([{"prompt": p} for p in workload.prompts() * steps]),
            processing_class=tokenizer,
        )
        self.trainer.remove_callback(PrinterCallback)
        force(self.model, workload.schedule(), tokenizer.eos_token_id)
        self._time_sampling()

    def _time_sampling(self) -> None:
        plain = self.trainer._generate_single_turn

        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            found = plain(*arguments, **options)
            self.sampling.append(time.perf_counter() - start)
            return found

        self.trainer._generate_single_turn = timed

    def weights(self) -> dict[str, torch.Tensor]:
        """The parameters by name."""
        return dict(self.model.named_parameters())

    def train(self, between: Callable[[], None]) -> None:
        """Take all steps; after each, `between` is called, and its time is nobody's.

        A step lasts from one end of a step to the next, so it has everything that the trainer does for it.
        """
        from transformers import TrainerCallback

        side = self

        class Clock(TrainerCallback):
            def on_train_begin(self, *_: Any, **__: Any) -> None:
                self.start()

            def on_step_end(self, *_: Any, **__: Any) -> None:
                synchronize(side.device)
                side.seconds.append(time.perf_counter() - self.began)
                if side.device.type == "cuda":
                    side.peaks.append(torch.cuda.max_memory_allocated(side.device) - self.held)
                between()
                self.start()

            def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any], **_: Any) -> None:
                side.grad_norm = logs.get("grad_norm", side.grad_norm)

            def start(self) -> None:
                synchronize(side.device)
                if side.device.type == "cuda":
                    torch.cuda.reset_peak_memory_stats(side.device)
                    self.held = torch.cuda.memory_allocated(side.device)
                self.began = time.perf_counter()

        self.trainer.add_callback(Clock())
        self.trainer.train()

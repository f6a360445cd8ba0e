"""A sweeper for Hydra, found by its package: ``hydra/sweeper=refine`` makes a multirun a round.

Every application of Hydra imports this module, so refine is imported only by a sweep. Hydra executes the
module before Python registers it, so annotations cannot be postponed.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

if TYPE_CHECKING:
    from refine.space import Parameter


@dataclass
class RefineSweeperConf:
    """The options of ``hydra.sweeper``."""

    _target_: str = "hydra_plugins.refine_sweeper.RefineSweeper"
    n: int = 30  # configurations of the round
    seed: int = 0  # of the design
    store: str = "refine.db"  # path or URL; a path is relative to the folder in which the application starts
    tree: str = "${hydra.job.name}"  # name of the tree in the store
    direction: Optional[str] = None  # noqa: UP045  # "maximize" or "minimize"; OmegaConf reads this type
    # "value" if a job returns a number, else the name of a returned number
    metric: str = "value"
    round: Optional[str] = None  # noqa: UP045  # an existing round instead, for example "last"
    max_batch_size: int = 1  # jobs launched at once; 1 stores every job as soon as it ends
    # overrides as on the command line; those of the command line come later
    params: dict[str, str] = field(default_factory=dict)


ConfigStore.instance().store("refine", RefineSweeperConf, group="hydra/sweeper", provider="refine")


class RefineSweeper(Sweeper):
    """Runs a round whose trials are jobs of Hydra's launcher, and prints its proposal."""

    def __init__(self, **options: Any) -> None:
        self.options = RefineSweeperConf(**options)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Stores the application's context and instantiates its launcher."""
        self.hydra_context = hydra_context
        self.task = task_function
        self.config = config
        plugins = Plugins.instance()
        self.launcher = plugins.instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> list[Any]:
        """Runs a round over the swept parameters and prints its proposal.

        Returns:
            The results of the jobs, in the order of their launch.
        """
        from refine import AnalysisError, Machine, Tree
        from refine.run.fingerprint import fingerprint

        options = self.options
        folder = Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        words = [*(f"{name}={value}" for name, value in options.params.items()), *arguments]
        overrides = {override.get_key_element(): override for override in parser.parse_overrides(words)}
        swept = {name: override for name, override in overrides.items() if override.is_sweep_override()}
        fixed = [override.input_line for name, override in overrides.items() if name not in swept]
        space = {name: parameter_of(override) for name, override in swept.items()}
        planned: list[tuple[str, ...]] = []
        ended: dict[tuple[str, ...], Any] = {}
        returned: list[Any] = []

        def objective(params: Mapping[str, Any]) -> Any:
            job = words_of(current.space, params)
            if job not in ended:
                start = len(planned)
                if job in planned:
                    start = planned.index(job)
                batch = planned[start : start + options.max_batch_size] or [job]
                jobs = [[*fixed, *job_words] for job_words in batch]
                self.validate_batch_is_legal(jobs)
                results = self.launcher.launch(jobs, initial_job_idx=len(returned))
                returned.extend(results)
                ended.update(zip(batch, results, strict=True))
                del planned[start : start + options.max_batch_size]
            return ended.pop(job).return_value

        objective.code = fingerprint(self.task)  # type: ignore[attr-defined]
        objective.name = " ".join([self.config.hydra.job.name, *fixed])  # type: ignore[attr-defined]
        with Tree(options.tree, store=options.store) as tree:
            if options.round is None:
                judged_by = {"metric": options.metric}
                if options.direction is not None:
                    judged_by["direction"] = options.direction
                current = tree.add_round(space, objective, n=options.n, seed=options.seed, **judged_by)
            else:
                current = tree[options.round]
            cells = map(current.space.configuration, current.cells())
            planned += [words_of(current.space, cell) for cell in cells]
            current.run(objective=objective, machine=Machine(progress=False))
            try:
                print(current.propose())
            except AnalysisError as error:
                print(error)
        return returned


def parameter_of(override: Override) -> "Parameter":
    """The parameter of a choice, range or interval in Hydra's grammar; texts remain as written."""
    from refine import Categorical, Float, Integer

    def kind_of(numbers: Iterable[float]) -> type[Float] | type[Integer]:
        if all(isinstance(number, int) for number in numbers):
            return Integer
        return Float

    if override.is_interval_sweep():
        swept: Any = override.value()
        kind = kind_of([swept.start, swept.end])
        return kind(swept.start, swept.end, log="log" in swept.tags)
    texts = list(override.sweep_string_iterator())
    try:
        values = [int(text) if text.lstrip("+-").isdigit() else float(text) for text in texts]
    except ValueError:
        return Categorical(texts)
    if not override.is_range_sweep() or len(values) == 1:
        return Categorical(values)
    step = abs(override.value().step)
    return kind_of(values)(min(values), max(values), step=step)


def words_of(names: Iterable[str], params: Mapping[str, Any]) -> tuple[str, ...]:
    """A configuration as overrides, in the order of some names."""
    return tuple(f"{name}={params[name]}" for name in names if name in params)

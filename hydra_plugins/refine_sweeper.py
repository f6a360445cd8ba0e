"""A sweeper of Hydra: with ``hydra/sweeper=refine`` a multirun is a round. Hydra finds this module by the package that it lies in.

Whoever starts any application of Hydra imports it, so that refine is imported when it sweeps. Hydra runs it
before Python knows the module, so that annotations can't be put off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf


@dataclass
class RefineSweeperConf:
    """What ``hydra.sweeper`` holds."""

    _target_: str = "hydra_plugins.refine_sweeper.RefineSweeper"
    n: int = 30  # configurations of the round
    seed: int = 0  # of its design
    store: str = "refine.db"  # path or URL; a path is seen from where the application is started
    tree: str = "${hydra.job.name}"  # its name in the store
    direction: Optional[str] = None  # noqa: UP045  # "maximize" or "minimize"; OmegaConf reads this type
    # "value" where a job returns a number, else the name of one of the numbers that it returns
    metric: str = "value"
    round: Optional[str] = None  # noqa: UP045  # a round to run instead, such as "last" after a decision
    max_batch_size: int = 1  # jobs that the launcher gets at once; 1 stores each when it has ended
    # overrides as on the command line, which come after these
    params: dict[str, str] = field(default_factory=dict)


ConfigStore.instance().store("refine", RefineSweeperConf, group="hydra/sweeper", provider="refine")


class RefineSweeper(Sweeper):
    """Jobs go through Hydra's launcher; each is a trial of a round, whose proposal is printed at the end."""

    def __init__(self, **options: Any) -> None:
        self.options = RefineSweeperConf(**options)

    def setup(self, *, hydra_context: Any, task_function: Any, config: Any) -> None:
        """As Hydra asks for."""
        self.hydra_context, self.task, self.config = hydra_context, task_function, config
        plugins = Plugins.instance()
        self.launcher = plugins.instantiate_launcher(hydra_context, task_function, config)

    def sweep(self, arguments: list[str]) -> list[Any]:
        """Runs a round over what is swept, prints what it proposes, and gives what the jobs returned."""
        from refine import AnalysisError, Tree
        from refine.run.fingerprint import fingerprint

        options, folder = self.options, Path(self.config.hydra.sweep.dir)
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        words = [*(f"{name}={value}" for name, value in options.params.items()), *arguments]
        overrides = {each.get_key_element(): each for each in parser.parse_overrides(words)}
        fixed = [each.input_line for each in overrides.values() if not each.is_sweep_override()]
        space = {name: parameter_of(each) for name, each in overrides.items() if each.is_sweep_override()}
        planned: list[tuple[str, ...]] = []
        ended: dict[tuple[str, ...], Any] = {}
        returned: list[Any] = []

        def objective(params: Mapping[str, Any]) -> Any:
            own = words_of(current.space, params)
            if own not in ended:
                at = planned.index(own) if own in planned else len(planned)
                batch = planned[at : at + options.max_batch_size] or [own]
                jobs = [[*fixed, *each] for each in batch]
                self.validate_batch_is_legal(jobs)
                found = self.launcher.launch(jobs, initial_job_idx=len(returned))
                returned.extend(found)
                ended.update(zip(batch, found, strict=True))
                del planned[at : at + options.max_batch_size]
            return ended.pop(own).return_value

        objective.code = fingerprint(self.task)  # type: ignore[attr-defined]
        name = " ".join([self.config.hydra.job.name, *fixed])
        with Tree(options.tree, store=options.store) as tree:
            if options.round is None:
                more = {} if options.direction is None else {"direction": options.direction}
                more |= {"metric": options.metric, "objective_name": name}
                current = tree.add_round(space, objective, n=options.n, seed=options.seed, **more)
            else:
                current = tree[options.round]
            cells = map(current.space.configuration, current.cells())
            planned += [words_of(current.space, cell) for cell in cells]
            current.run(objective=objective, objective_name=name, progress=False)
            try:
                print(current.propose())
            except AnalysisError as error:
                print(error)
        return returned


def parameter_of(override: Override) -> Any:
    """What is searched by a choice, a range or an interval of Hydra's grammar; texts stay as they are written there."""
    from refine import Categorical, Float, Integer

    if override.is_interval_sweep():
        swept: Any = override.value()
        kind = Integer if isinstance(swept.start, int) and isinstance(swept.end, int) else Float
        return kind(swept.start, swept.end, log="log" in swept.tags)
    texts = list(override.sweep_string_iterator())
    try:
        values = [int(text) if text.lstrip("+-").isdigit() else float(text) for text in texts]
    except ValueError:
        return Categorical(texts)
    if not override.is_range_sweep() or len(values) == 1:
        return Categorical(values)
    step = abs(override.value().step)
    kind = Integer if all(isinstance(value, int) for value in values) else Float
    return kind(min(values), max(values), step=step)


def words_of(names: Iterable[str], params: Mapping[str, Any]) -> tuple[str, ...]:
    """A configuration as overrides, in the order of some names."""
    return tuple(f"{name}={params[name]}" for name in names if name in params)

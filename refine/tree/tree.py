"""The tree: all rounds of one question, versioned."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from refine.analysis.judgement import Judgement
from refine.analysis.winner import Winner
from refine.design.samplers import design_of, how_many_asked
from refine.design.space_filling import how_many
from refine.errors import (
    AnalysisError,
    DesignError,
    NotFoundError,
    SpaceError,
    StoreError,
    unstorable,
)
from refine.proposal.proposal import check_epsilon
from refine.review.calibration import Calibration
from refine.review.decision import Decision, check_author, check_note, user
from refine.run.holdout import HoldoutResult, Visit
from refine.run.identity import check_name, objective_data, objective_name
from refine.run.objective import wants_trial
from refine.run.options import ResourceKeywords, Resources, RunKeywords, RunOptions
from refine.run.protocols import Objective
from refine.run.replay import Replay
from refine.run.replicates import check_times
from refine.run.steering import check_pruner
from refine.space.belief import belief_of
from refine.space.encoding import check_seed
from refine.space.given import given_configuration, given_configurations
from refine.space.roles import scientific_of
from refine.space.space import Space, encode_configuration
from refine.store.engine import check_folder
from refine.store.store import Store
from refine.store.trees import only_tree
from refine.tree import marks
from refine.tree.apply import check_count, drawn_by_belief, first_share, off_grid
from refine.tree.comparison import Comparison, compare
from refine.tree.confirm import confirm
from refine.tree.context import Context
from refine.tree.exchange.exchange import Exchange
from refine.tree.judging import WORDS, Which, judge
from refine.tree.like import belief_like
from refine.tree.names import is_reserved, round_named
from refine.tree.outcome import beliefs_of, entries_of, suggestions_of
from refine.tree.overview import best_of, comparable, front_of
from refine.tree.removal import Damage, damage_of, delete_round, delete_trials, log_rows, repair, unlock
from refine.tree.round import Round
from refine.tree.studies import StudyComparison, compare_studies
from refine.tree.winner import winner_of
from refine.trials.goal import ASK, Goal, check_meant, goals_of
from refine.trials.metric import Score
from refine.trials.metric_constraint import FEASIBLE
from refine.trials.round_record import BASELINE, Node
from refine.utils.action import Action, Symbol
from refine.utils.display import Shown
from refine.utils.format import join
from refine.utils.keywords import helped_methods
from refine.utils.plain import plain
from refine.utils.provided import provided

if TYPE_CHECKING:
    import pandas as pd


@helped_methods
class Tree(Exchange, Shown):
    """All rounds of one question, in a store. Created or opened.

    Args:
        name: Name of the question; default that of the only tree in the store.
        store: URL of the store, or path of a SQLite file.
        create: Whether to create the tree where it does not exist.

    Raises:
        StoreError: The store can't be opened.
        NotFoundError: The tree does not exist and ``create`` is false; or there is no name, and not just one tree.

    Examples:
        >>> def score(p):
        ...     return 1 - 0.02 * (p["lr"] - 1.4) ** 2 - 0.2 * p["dropout"]
        >>> tree = refine.Tree("example", store="refine.db")
        >>> root = tree.add_round({"lr": (0.5, 5.0, 10), "dropout": (0.0, 0.5, 6)}, score, n=30, seed=7)
        >>> root.run(progress=False)
        <Round ... of example>
    """

    def __init__(
        self,
        name: str | None = None,
        store: str | os.PathLike[str] = "sqlite:///refine.db",
        *,
        create: bool = True,
    ) -> None:
        if name is None:
            name = only_tree(store)
        if not isinstance(name, str) or not name.strip():
            raise StoreError(
                f"a tree needs a name, got {name!r}; such as refine.Tree('digits', store='refine.db')"
            )
        if bad := unstorable(name):
            raise StoreError(f"a tree's name {bad}")
        database = Store(store, create)
        try:
            self._context = Context(database, database, database.tree(name, create), name, {}, {}, {})
        except BaseException:
            database.close()
            raise

    @property
    def name(self) -> str:
        """Name of the question."""
        return self._context.name

    @property
    def store(self) -> str:
        """URL of the store, without its password."""
        return self._context.store.name

    def close(self) -> None:
        """Closes the store's connections."""
        self._context.store.close()

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # Rounds.

    def add_round(
        self,
        space: Space | Mapping[str, Any],
        objective: Objective,
        *,
        metric: str | Score | Goal | Sequence[Goal] = "value",
        direction: str | None = ASK,
        subject_to: Sequence[str] = (),
        allow_degenerate: bool = False,
        n: int | None = None,
        downsample: float | None = None,
        seed: int = 0,
        design: Any = "sobol",
        pruner: Any = None,
        name: str | None = None,
        roles: Mapping[str, str] | None = None,
        epsilon: float | None = None,
        baseline: Mapping[str, Any] | None = None,
        baseline_seeds: int = 3,
        given: Sequence[Mapping[str, Any]] = (),
        belief: Mapping[str, Any] | None = None,
        like: Sequence[Tree | Round | str] = (),
        exploit: float | None = None,
        note: str = "",
    ) -> Round:
        """Adds a root, or finds it again: a script that is run twice goes on with the same round.

        Args:
            space: What to search: a :class:`Space` or its mapping.
            objective: ``f(params)``, or ``f(params, trial)``, returning a number or a mapping of metrics.
            metric: ``"val_acc"`` (the last epoch's), ``"max:val_acc"`` (the best one's), ``"value"`` where the
                objective returns a number, or a function of a trial's metrics that returns one. A function is
                recorded by its name; what it says is stored with every trial, beside the metrics. Or a :class:`Goal`, which has a
                direction and may have constraints; or two or three of them, of which the round shows the front.
            direction: ``"maximize"`` or ``"minimize"``. Not given, larger is better, and a metric that is named like a loss
                or an error is asked about; ``None`` tells it by the name, with a warning that says which it is.
            subject_to: What other metrics of a trial have to be for it to count, such as ``["latency_ms <= 5"]``; ``seconds``
                is a trial's wall time. A trial that doesn't meet them is infeasible: it is no best, and claims and
                proposals are about feasible values. Children take this over.
            allow_degenerate: Whether a trial whose metric ``degenerate`` is 1 may be called best. By default it keeps its
                value and is passed over. Children take this over.
            n: How many configurations to run, or
            downsample: which share of them; one of the two must be given.
            seed: Another seed is another round.
            design: ``"sobol"`` or ``"uniform"``, which draw evenly; or adaptive, one configuration after the other by
                what earlier ones gave: ``"tpe"``, ``"gp"``, ``"cmaes"``, ``"qmc"``, or a sampler of Optuna.
            pruner: What stops trials early: ``"median"``, a :class:`refine.Pruner`, or, with ``workers=1``, a pruner
                of Optuna.
            name: Name of the objective in the round's identity; default its qualified name.
            roles: Parameter -> ``"scientific"``, ``"nuisance"`` (what varies and is not named) or ``"fixed"``: see
                :meth:`Round.set_roles`. ``None`` leaves those of a round that exists as they are.
            epsilon: Loss of the metric that makes no difference to you: see :meth:`Round.set_epsilon`.
            baseline: The configuration to beat, such as today's or the defaults. It runs first, and reports say by how
                much what is handed over beats it. Its values need not be levels nor lie inside the space. Of a round that
                exists it takes the place of an earlier one.
            baseline_seeds: Under how many seeds the baseline runs, so that a lucky run is no bar.
            given: Other configurations that run first. What is given counts towards ``n``, is evidence for what is best,
                and is in no test, since nobody drew it by chance. Of a round that exists, new ones are added.
            belief: Where you believe the best value to lie, by parameter: ``{"lr": refine.Near(1e-3, within_factor=3)}`` for
                numbers, ``{"optimizer": {"adam": 0.7}}`` for choices, whose weights are probabilities; choices that aren't named
                share what is left. It chooses exploit trials and is what proposals begin with, on this round and on all that
                come of it; it weighs less the more is known, is dropped when trials contradict it, and is in no test.
            like: Earlier studies, trees or rounds (those of this tree by name, too), whose posteriors suggest where the best value lies: they make a belief about the
                parameters that they share with this space, which is stored, weighed and scored as one. What ``belief`` says
                of a parameter takes its place.
            exploit: Share of the configurations that is drawn by the belief, in [0, 1); default half. The others are drawn evenly.
            note: Why, in your words.

        Raises:
            RefineError: A subclass that says what is wrong; nothing has been written then.

        Examples:
            >>> def train(p):
            ...     return {"loss": p["lr"] * p["units"], "size": p["units"]}
            >>> space = {"units": [8, 16, 32], "lr": refine.Float(1e-4, 0.1, log=True), "epochs": 20}
            >>> other = tree.add_round(space, train, metric="loss", direction="minimize", subject_to=["size >= 10"], n=30)
            >>> other.run(progress=False).best_params
            {'epochs': 20, 'lr': 0.0001, 'units': 16}
        """
        searched = space if isinstance(space, Space) else Space(space)
        wants_trial(objective, searched)
        called = check_name(name) or objective_name(objective)
        check_meant(called, metric, direction)
        goal, *further = goals_of(metric, direction, subject_to, allow_degenerate)
        judged, direction, allow_degenerate = goal.metric, goal.direction, goal.allow_degenerate
        if judged.subject_to and FEASIBLE in searched:
            raise SpaceError(
                f"{FEASIBLE}: with metric constraints this name is that of a column of the table of trials; rename the "
                "parameter"
            )
        method, sampler = design_of(design)
        rule, tool = check_pruner(pruner, judged)
        believed = None if belief is None else belief_of(belief, searched)
        if like != ():
            earlier: Any = like  # anything else than a list is refused there
            if isinstance(like, list | tuple):
                earlier = [self[study] if isinstance(study, str) else study for study in like]
            suggested = belief_like(earlier, searched)
            mine = believed.of if believed else ()
            believed = replace(suggested, of=tuple(sorted({**dict(suggested.of), **dict(mine)}.items())))
        share = first_share(believed, exploit, method)
        node = Node(
            parent=None,
            space=searched,
            method=method,
            pruner=rule,
            belief=believed,
            exploit=share,
            seed=check_seed(seed),
            objective=called,
            data=objective_data(objective),
            metric=str(judged),
            direction=direction,
            allow_degenerate=allow_degenerate,
            subject_to=tuple(map(str, judged.subject_to)),
            goals=tuple((str(g.metric), g.direction) for g in further),
            scientific=scientific_of({} if roles is None else roles, searched),
            epsilon=check_epsilon(epsilon),
            note=check_note(note),
            author=user(),
            created=time.time(),
        )
        if node.goals and node.steered:
            raise DesignError(
                "an adaptive design and a pruner go by one number, and this round has several goals; leave design and pruner "
                "out, or give one goal"
            )
        known = self._context.nodes.get(node.id)
        self._context.check_judged(node)
        if roles is None and known is not None:
            node = replace(node, scientific=known.node.scientific)
        if epsilon is None and known is not None:
            node = replace(node, epsilon=known.node.epsilon)
        asked = _given(searched, baseline, baseline_seeds, given)
        sized = how_many_asked if node.adaptive else how_many
        count = sized(node.space, n, downsample, -off_grid(node.space, asked))
        check_count(count, asked)
        drawn = () if known is not None else drawn_by_belief(node, count, asked)
        self._context.store.add_node(self._context.tree, node, count, extra=drawn, given=asked)
        self._context.keep_tools(node, sampler, tool)
        self._context.store.set_defaults(self._context.tree, node)
        self._context.objectives[node.objective, node.data] = objective
        if judged.function is not None:
            self._context.scores[judged.name] = judged.function
        return Round(self._context, node, node.metric, direction)

    @property
    def rounds(self) -> tuple[Round, ...]:
        """All rounds, oldest first."""
        stored = self._context.nodes.values()
        return tuple(Round(self._context, s.node, s.node.metric, s.node.direction) for s in stored)

    def __len__(self) -> int:
        return len(self._context.nodes)

    def __getitem__(self, key: str) -> Round:
        """The round of a name: see :meth:`round`.

        Raises:
            NotFoundError: There is none, or there are several.
        """
        if not isinstance(key, str):
            raise NotFoundError(
                "a round is found by its id, the beginning of one, a tag, its path in the printed tree such as '1.2', 'last' "
                f"or 'root', as a text, got {key!r}; tree.rounds has all in order"
            )
        context = self._context
        parents = {id_: stored.node.parent for id_, stored in context.nodes.items()}
        node = context.nodes[round_named(key, parents, context.reader.tags(context.tree), self.name)].node
        return Round(context, node, node.metric, node.direction)

    def round(self, which: Round | str) -> Round:
        """A round of this tree by any of its names.

        Args:
            which: Its id or the beginning of one, a tag, ``"last"`` (the newest), ``"root"``, or its path in the printed tree:
                ``"1"`` is the first root, ``"1.2"`` its second child. Or a round, which is looked for here.

        Raises:
            NotFoundError: There is none, there are several, or the round is of another tree.

        Examples:
            >>> child = root.branch({"lr": (1.0, 2.0, 11), "dropout": 0.0}, n=5)
            >>> tree.round("root").n, tree.round("1.1").n, tree["last"].n
            (30, 5, 5)
        """
        return self._own(which)

    def _at_once(self) -> Tree:
        """This tree as one operation looks at it: whatever is read of its rounds is read once, for all of them."""
        found = copy.copy(self)
        found._context = self._context.at_once()
        return found

    def _resolve(self, which: Round | str) -> Round:
        return which if isinstance(which, Round) else self[which]

    def _own(self, which: Round | str) -> Round:
        """A round of this tree, by itself or one of its names.

        Raises:
            NotFoundError: There is no such round, or it is of another tree.
        """
        found = self._resolve(which)
        if found.context is not self._context and found.id not in self._context.store.nodes(
            self._context.tree
        ):
            raise NotFoundError(
                f"round {found.id} is one of tree {found.context.name!r}, and tree {self.name!r} has none like it; use that "
                "tree, or take its rounds over",
                Action("tree.merge", Symbol("other")),
            )
        return found

    def tag(self, which: Round | str, name: str) -> None:
        """Gives a round a name; a name that exists moves.

        Raises:
            StoreError: The name is no text, an id, or says where a round is: ``last``, ``root`` or a path such as ``1.2``.
            NotFoundError: No such round in this tree.

        Examples:
            >>> tree.tag(root, "paper")
            >>> tree["paper"].n
            30
        """
        nodes = self._context.nodes
        if not isinstance(name, str) or not name.strip() or name in nodes:
            raise StoreError(
                f"a tag must be a text that is no round's id, got {name!r}; such as",
                Action("tree.tag", Symbol("round"), "paper"),
            )
        if bad := unstorable(name):
            raise StoreError(f"a tag {bad}")
        if is_reserved(name):
            raise StoreError(
                f"a tag must not say where a round is, as 'last', 'root' and paths such as '1.2' do, got {name!r}; such as",
                Action("tree.tag", Symbol("round"), f"v{name}"),
            )
        self._context.store.set_tag(self._context.tree, name, nodes[self._own(which).id].pk)

    @property
    def tags(self) -> dict[str, str]:
        """Tag -> round id."""
        return self._context.reader.tags(self._context.tree)

    # Looking back.

    def diff(self, a: Round | str, b: Round | str) -> Comparison:
        """What differs between two rounds; it prints itself, and ``.report(folder)`` writes it.

        Examples:
            >>> child = root.branch({"lr": (0.5, 1.5, 11), "dropout": 0.0}, n=9).run(progress=False)
            >>> round(tree.diff(root, child).volume_kept, 2)
            0.04
        """
        return compare(self._resolve(a), self._resolve(b))

    def compare(self, other: Tree | Round) -> StudyComparison:
        """Another study beside this one, such as of other data or another model: which parameters behave alike.

        Of each tree the oldest round that can be analysed is compared, whose space is the widest. What is better is compared, not
        the values, so that metrics and directions may differ.

        Args:
            other: A tree, in any store, or a round.

        Returns:
            Effects and places of the best value of every parameter that both have; prints itself, and ``.plot()`` draws it.

        Raises:
            AnalysisError: One of them has too few trials, or they share no parameter.
        """
        if not isinstance(other, Tree | Round):
            raise AnalysisError(
                f"compare takes a tree or a round, got {type(other).__name__}; rounds of one tree differ by tree.diff"
            )
        return compare_studies(self, other)

    def best(self) -> pd.Series | None:
        """The best observed trial of all rounds, with its round's id in ``round``; ``None`` before the first one.

        The best of many noisy values overstates its configuration; :meth:`winner` is the one to hand over.

        Rounds that differ in metric or direction from the oldest root can't be compared and are left out.

        Examples:
            >>> tree.best()[["lr", "dropout", "value"]].to_dict()
            {'lr': 1.5, 'dropout': 0.0, 'value': 0.9998}
        """
        found = best_of(self._at_once().rounds)
        if found is None:
            return None
        import pandas as pd

        return pd.concat([pd.Series({"round": found[0].id}), found[1]])

    @property
    def front(self) -> pd.DataFrame:
        """The trials of all rounds that no other one beats: see :attr:`Round.front`, of which some are beaten by other rounds.

        The id of a trial's round is in ``round``, and its label is that in ``trials`` there, so that
        ``tree[round].choose(label)`` records the wish for it. Empty before the first trial has finished.

        Rounds that differ in metric, goals or direction from the oldest root can't be compared and are left out.

        Raises:
            NotFoundError: The tree has no round yet.
        """
        if not len(self):
            raise NotFoundError(
                f"tree {self.name!r} has no round yet, and so no front; add one",
                Action("tree.add_round", ...),
            )
        return front_of(self._at_once().rounds)

    def winner(self) -> Winner | None:
        """The configuration to hand over; ``None`` before the first trial has finished.

        It has the best posterior mean of all that were evaluated, of whatever origin, by one posterior on the trials of
        all rounds; runs under new seeds count as more values of theirs. It says what to expect when it is trained again.

        Rounds that differ in metric or direction from the oldest root can't be compared and are left out.

        Examples:
            >>> winner = tree.winner()
            >>> winner.params, winner.expected
            ({'dropout': 0.0, 'lr': 1.5}, 0.9998)
        """
        here = self._at_once()
        known = [(r._stored, r.goal) for r in comparable(here.rounds)]
        epsilon = known[-1][0].node.epsilon if known else None
        found = winner_of(here._context.reader, known, f"tree {self.name}", epsilon)
        return None if found is None else found.kept_in(self)

    def confirm(
        self,
        budget: int = 20,
        top: int = 5,
        *,
        objective: Objective | None = None,
        name: str | None = None,
        **options: Unpack[RunKeywords],
    ) -> Winner:
        """Runs the plausible winners again under new seeds, until it is decided which one to hand over.

        The configurations with the best posterior means race; observed values choose nothing. Runs go where they are
        expected to improve what is handed over the most. The race ends early when the leader is the best of them, or
        loses no more than what counts as no loss, with probability 0.95, and has run three times again; or when retraining changes no more than
        that. What counts as no loss is :attr:`Round.epsilon` of the latest round, else the smallest step of the metric or
        a tenth of the noise, whichever is larger.

        The runs are replicates of their rounds, each stored when it has finished: called again, the race goes on.

        Args:
            budget: How many runs under new seeds there shall be; those that there are count.
            top: How many configurations.
            objective: As in :meth:`Round.run`.
            name: As in :meth:`Round.run`.
            options: ``workers``, ``executor``, ``threads``, ``progress``, ``rerun``, ``timeout``, ``memory``, ``grace``: as in
                :meth:`Round.run`.

        Raises:
            AnalysisError: No trial has finished that may be called best.
            DesignError: ``budget`` or ``top`` is no whole number >= 1.
            ObjectiveError: A round was reopened and no objective given.

        Examples:
            >>> print(tree.confirm(budget=20, progress=False))
            Hand over, of tree example (30 configurations):
            ...
            Race     there is nothing to confirm: every run again gives the same value.
        """
        known = [(r._stored, r.goal) for r in comparable(self.rounds)]
        epsilon = known[-1][0].node.epsilon if known else None
        place = self._context, known, f"tree {self.name}", epsilon
        return confirm(*place, budget, top, (objective, name), RunOptions(**options)).kept_in(self)

    def judge(
        self,
        a: Round | str | Mapping[str, Any] | None = None,
        b: Round | str | Mapping[str, Any] | None = None,
        *,
        budget: int = 0,
        epsilon: float | None = None,
        objective: Objective | None = None,
        name: str | None = None,
        **options: Unpack[RunKeywords],
    ) -> Judgement:
        """Whether one configuration is better than another: KEEP, CONFIRM or DISCARD, with what that rests on.

        The best of many trials is a lucky one, so what a single training gave decides nothing: both are compared by the
        posterior that :meth:`winner` chooses by, and nothing is kept before it ran three times under new seeds.

        Args:
            a: The configuration that is asked about: its values by name, as many as tell it from others that were run; a
                round, its id or a tag, for the best expected of it; ``"winner"``, ``"best"`` (observed) or ``"baseline"``.
                Default the winner.
            b: What it is compared with, likewise. Default the baseline; without one, or if that is ``a``, the best expected
                of the rounds before the one that ran ``a`` first.
            budget: Runs both again under new seeds until it is decided, as often as there are so many such runs of the two;
                those that there are count. Default runs nothing.
            epsilon: Difference that counts as none, in units of the metric; default :attr:`Round.epsilon` of the latest
                round, else the smallest step of the metric or a tenth of the noise, whichever is larger.
            objective: As in :meth:`Round.run`.
            name: As in :meth:`Round.run`.
            options: As in :meth:`confirm`.

        Raises:
            AnalysisError: One of both has no value, or no trial has finished that may be called best.
            DesignError: ``budget`` is no whole number >= 0.
            NotFoundError: There is no such round.
            ObjectiveError: A round was reopened and no objective given.
            ReviewError: No trial ran such a configuration, several did, or both are the same.

        Examples:
            >>> tree.judge("winner", {"lr": 1.5, "dropout": 0.3}).verdict
            'KEEP'
        """
        if isinstance(budget, bool) or not isinstance(budget, int) or budget < 0:
            raise DesignError(f"budget must be a whole number >= 0, got {budget!r}")
        if not budget and (objective is not None or name is not None or options):
            given = [n for n, v in (("objective", objective), ("name", name)) if v is not None]
            raise DesignError(
                f"judge runs nothing without budget=, so that {join([*given, *options])} would say nothing; give budget= as well"
            )
        check_epsilon(epsilon)
        context = self._context if budget else self._context.at_once()
        known = [(r._stored, r.goal) for r in comparable(self.rounds)]
        said = known[-1][0].node.epsilon if known and epsilon is None else epsilon
        place = context, known, f"tree {self.name}", (self._which(a), self._which(b)), said
        return judge(*place, budget, (objective, name), RunOptions(**options))

    def _which(self, given: Round | str | Mapping[str, Any] | None) -> Which:
        """A configuration as it was named, rounds by their ids."""
        if isinstance(given, Mapping) or given is None or given in WORDS:
            return given  # type: ignore[return-value]  # a round is none of the words
        return self._own(given).id

    def open_holdout(
        self,
        seeds: int = 3,
        *,
        note: str = "",
        author: str | None = None,
        objective: Objective | None = None,
        name: str | None = None,
        **resources: Unpack[ResourceKeywords],
    ) -> HoldoutResult:
        """Trains the winner again under new seeds and measures it on rows that no round has seen.

        Who opens is logged before anything is seen. The same opening again goes on where it was, or gives what it gave.

        Args:
            seeds: How many models.
            note: Why, in your words.
            author: Who opens; default the user name.
            objective: As in :meth:`Round.run`.
            name: As in :meth:`Round.run`.
            resources: ``workers``, ``executor``, ``threads``, ``timeout``, ``memory``, ``grace``: as in :meth:`Round.run`.

        Raises:
            AnalysisError: No trial has finished that may be called best.
            ObjectiveError: The objective has no hold-out.

        Warns:
            UserWarning: It was opened before on this branch, and what that costs.
        """
        check_times(1, seeds)
        who = Visit(check_note(note), check_author(author))
        won = self.winner()
        if won is None:
            raise AnalysisError(
                f"tree {self.name}: no trial has finished that may be called best; run a round first",
                Action("round.run"),
            )
        key = won.candidates[0].key
        options = Resources(**resources)
        return self[won.round]._open_holdout(lambda: [key], seeds, who, (objective, name), options)

    # What is damaged, and removing for good.

    def damage(self) -> Damage:
        """What of the tree can't be read: written by hand, by a broken disk, or before refine refused it.

        Damaged trials are no trials: nothing counts them, analyses say so, and their round can't be run. A damaged
        round is left out, and so is everything that came from it. Prints itself.
        """
        return damage_of(self._context)

    def repair(self, *, note: str = "", author: str | None = None) -> Damage:
        """Removes what :meth:`damage` says, for good, and writes it into the log; the round runs such trials anew.

        Settings that are no part of a round, such as its note, are set back, and everything else of it stays.

        Args:
            note: Why, in your words.
            author: Who does it; default the user name.

        Returns:
            What was removed.

        Raises:
            RoundBusyError: A round that holds something damaged is being run.
        """
        return repair(self._context, note, author)

    def delete_trials(
        self, which: Round | str, rows: Any, *, note: str = "", author: str | None = None
    ) -> int:
        """Removes trials of a round for good, with all of their attempts, and writes it into the log.

        The round runs them again when it goes on. Proposals that were made on them can't be accepted any more, since
        their evidence has changed. What was exported or merged before still has them, and merging it brings them back.

        Args:
            which: A round, or one of its names: see :meth:`round`.
            rows: Some of its ``trials``: ``found.trials[...]``, a True or False for each of them, or their numbers.
            note: Why, in your words.
            author: Who does it; default the user name.

        Returns:
            How many were removed.

        Raises:
            ReviewError: The rows are none of the round's.
            RoundBusyError: The round is being run.
        """
        found = self._own(which)
        curves = found.goal.metric.curves
        here = Round(self._context, found.node, found.metric, found.direction)
        return delete_trials(
            self._context, here._stored, len(here.trials), curves, rows, note=note, author=author
        )

    def delete_round(
        self, which: Round | str, *, below: bool = False, note: str = "", author: str | None = None
    ) -> list[str]:
        """Removes a round for good, with its trials, proposals and decisions, and writes it into the log.

        The decision on its parent that led to it stays. What was exported or merged before still has the round.

        Args:
            which: A round, or one of its names: see :meth:`round`.
            below: Whether to remove the rounds that came from it too; without that, a round that has some is refused.
            note: Why, in your words.
            author: Who does it; default the user name.

        Returns:
            Ids of the rounds that were removed.

        Raises:
            ReviewError: Rounds came from it, and ``below`` was not said.
            RoundBusyError: One of them is being run.
        """
        return delete_round(self._context, self._own(which)._stored, below, note, author)

    def unlock(self, which: Round | str, *, note: str = "", author: str | None = None) -> bool:
        """Lets a round be run that a process of another machine holds, and writes it into the log.

        For a machine that is gone, or whose clock was ahead: without this, its round is free a minute after its last
        sign of life, by the time of the database server or, of a SQLite file, of this machine. Should the process live
        all the same, it stops before it writes anything more.

        Args:
            which: A round, or one of its names: see :meth:`round`.
            note: Why, in your words.
            author: Who does it; default the user name.

        Returns:
            Whether anybody held it.

        Raises:
            RoundBusyError: A living process of this machine runs it: stop that.
        """
        return unlock(self._context, self._own(which)._stored, note, author)

    def log(self) -> pd.DataFrame:
        """Everything that happened, oldest first: ``time, event, round, child, author, note``.

        Examples:
            >>> child = root.branch({"lr": (0.5, 1.5, 11), "dropout": 0.0}, n=9, note="no dropout", author="mia")
            >>> tree.log()[["event", "author", "note"]].iloc[-1].tolist()
            ['branched', 'mia', 'no dropout']
        """
        import pandas as pd

        rows: list[tuple[float, str, str, str, str, str]] = []
        here = self._context.at_once()
        for stored in here.nodes.values():
            node = stored.node
            if node.parent is None:
                rows.append((node.created, "root", node.id, "", node.author, node.note))
            for content, created in here.reader.decisions(stored.pk):
                d = Decision.from_json(json.loads(content))
                rows.append((created, d.kind, node.id, d.child or "", d.author, d.note))
            opened = here.reader.openings(stored.pk)
            rows += [(o.created, "hold-out opened", node.id, "", o.author, o.note) for o in opened]
        rows += log_rows(here)
        rows += marks.log_rows(here)
        rows.sort(key=lambda row: row[0])
        frame = pd.DataFrame(rows, columns=["time", "event", "round", "child", "author", "note"])
        return frame.assign(time=pd.to_datetime(frame["time"], unit="s", utc=True).dt.floor("s"))

    def replay(self, which: Round | str, **options: Any) -> Replay:
        """Builds a whole round anew: its design from its content, and every trial that has ended from its seed.

        Args:
            which: A round, or one of its names: see :meth:`round`.
            options: As in :meth:`Round.replay`.
        """
        return self._resolve(which).replay(None, **options)

    def calibration(self) -> Calibration:
        """What proposals forecast, what their children showed, and which narrowings were refuted.

        One entry per decision that led to a child, and one per suggestion, accepted or not. The space-filling trials that were planned at the decision count for
        its forecast; what was added to the child later does not.

        Examples:
            >>> child = root.propose().accept(n=10).run(progress=False)
            >>> [entry.decision.kind for entry in tree.calibration().scored]
            ['accepted']
        """
        rounds = self._at_once().rounds
        return Calibration(self.name, entries_of(rounds), beliefs_of(rounds), suggestions_of(rounds))

    @property
    def plot(self) -> Any:
        """Figures of all rounds: ``tree.plot.tree()``, ``.edf()``, ...; see :class:`refine.report.plots.TreePlots`."""
        return provided("tree.plot")(self)

    def report(self, folder: str | Path, *, winner: Round | str | None = None, html: bool = False) -> Path:
        """Writes the story of the question, from root to winner: every decision, its reason, how its claim turned out.

        Args:
            folder: Created if need be; holds ``<name>.md`` and a folder of figures.
            winner: The round that the story leads to, or one of its names; default the one with the best observed trial.
            html: Whether to write one self-contained HTML file instead of markdown.

        Returns:
            The file.

        Raises:
            NotFoundError: The tree has no round yet, or no such winner.
            StoreError: A file stands where the folder is to be.

        Examples:
            >>> tree.report("reports").name
            'example.md'
        """
        where = check_folder(folder)
        if not len(self):
            raise NotFoundError(
                f"tree {self.name!r} has no round to report on; add one", Action("tree.add_round", ...)
            )
        chosen = None if winner is None else self._own(winner)
        written: Path = provided("tree.report")(self, where, chosen, html)
        return written

    def _data(self) -> dict[str, Any]:
        rounds = [each._data() for each in self.rounds]
        return {
            "name": self.name,
            "store": self.store,
            "rounds": rounds,
            "tags": self.tags,
            "best": plain(self.best()),
        }

    def __repr__(self) -> str:
        how_many = "closed" if self._context.store.closed else f"{len(self)} rounds"
        return f"<Tree {self.name}: {how_many} in {self.store}>"


def _given(
    space: Space, baseline: Mapping[str, Any] | None, seeds: int, given: Sequence[Mapping[str, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    """What runs first: ``(what a plan calls it, encoded configuration)``, the baseline once per seed."""
    check_times(1, seeds, "baseline_seeds")
    others = [("given", encode_configuration(p)) for p in given_configurations(space, given)]
    if baseline is None:
        return others
    mine = encode_configuration(given_configuration(space, baseline, "baseline"))
    return [(BASELINE, mine)] * seeds + [o for o in others if o[1] != mine]

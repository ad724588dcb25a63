"""`mrtpy finetune`: from a bundle and prepared music to a bundle that plays in that style."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from magenta_rt_py.cli.report import add_json_option, emit, end_progress, progress
from magenta_rt_py.errors import MissingExtraError

if TYPE_CHECKING:
    from magenta_rt_py.train.finetune.config import FinetuneConfig
    from magenta_rt_py.train.finetune.plan import Plan

STARTER = "starter"
PRESETS = ("tiny", "starter", "base", "large")
METHODS = ("full", "lora")
OPTIMIZERS = ("muon", "adamw", "adafactor")
TRAIN_MODULES = ("optax", "orbax.checkpoint", "tqdm", "sklearn")
GIGABYTE = 1e9


def register(commands: Any) -> None:
    """Adds the command."""
    parser = commands.add_parser(
        "finetune",
        help="teach a bundle the style of prepared music",
        description="Finetunes a bundle's language model, whole or through adapters, and writes a bundle that plays.",
        epilog="example: mrtpy finetune --from starter --data prepared --out my-model; started again, it goes on",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--from", dest="base", default=STARTER, metavar="BUNDLE", help="bundle to begin with (default: the starter)"
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help="prepared folder (mrtpy prepare), or token shards")
    parser.add_argument("--out", type=Path, metavar="DIR", help="directory of the new bundle")
    parser.add_argument("--work", type=Path, metavar="DIR", help="checkpoints and metrics (default: OUT.work)")
    add_run_options(parser)
    parser.add_argument("--method", choices=METHODS, default="full", help="all weights, or adapters beside them")
    parser.add_argument("--rank", type=int, help="inner width of the adapters (default 8)")
    parser.add_argument("--alpha", type=float, help="adapters are scaled by alpha / rank (default 16)")
    parser.add_argument(
        "--target", action="append", metavar="REGEX", help="layers that get adapters (default: all attention and MLP layers)"
    )
    parser.add_argument("--rehearse", type=Path, metavar="DIR", help="music it should not forget (default: the studio's)")
    parser.add_argument("--rehearsal-share", type=float, help="share of crops from it, 0 .. 1 (default: the preset's)")
    parser.add_argument("--anchor-weight", type=float, help="how firmly they are held to what the base says of them")
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="processes that render it (default 2)")
    parser.add_argument("--plan", action="store_true", help="only say what each device would hold; needs no data")
    parser.add_argument("--preset", choices=PRESETS, help="with --plan: a size, instead of --from")
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="with --plan: how many devices (default 1)")
    parser.add_argument("--memory", type=float, metavar="GB", help="with --plan: a device's memory; exit code 1: too small")
    add_json_option(parser)
    parser.set_defaults(run=run)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options that finetuning and training from nothing share."""
    parser.add_argument("--steps", type=int, help="how long (default: the preset's)")
    parser.add_argument("--batch", type=int, metavar="CROPS", help="crops a step, over all devices (default: the preset's)")
    parser.add_argument("--accumulate", type=int, metavar="N", help="cut each batch into N, one after the other")
    parser.add_argument("--optimizer", choices=OPTIMIZERS, help="(default: the preset's)")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="peak rate (default: the optimiser's)")
    parser.add_argument("--style-dropout", type=float, metavar="SHARE", help="share of crops with the style masked")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="compute dtype (default: the preset's)")
    parser.add_argument(
        "--rematerialise", action=argparse.BooleanOptionalAction, default=None, help="compute layers twice, keep less"
    )
    parser.add_argument("--seed", type=int, help="the same seed gives the same run (default 0)")
    parser.add_argument("--fsdp", type=int, default=1, metavar="N", help="devices that share one copy of the weights")
    parser.add_argument("--tensor", type=int, default=1, metavar="N", help="devices that share one copy and its crops")
    parser.add_argument(
        "--distributed", action="store_true", help="several hosts: the same command on each, found by jax.distributed"
    )


def run(arguments: argparse.Namespace) -> int:
    """Plans, or finetunes and reports."""
    check_extra("finetuning")
    if arguments.plan:
        return _plan(arguments)
    for name in ("data", "out"):
        if getattr(arguments, name) is None:
            wanted = {"data": "a prepared folder", "out": "the new bundle's folder"}[name]
            raise ValueError(f"--{name} is missing: give {wanted}")
    join_hosts(arguments)
    from magenta_rt_py.generators import system
    from magenta_rt_py.lm.config import LMConfig
    from magenta_rt_py.train.finetune import config as configs
    from magenta_rt_py.train.finetune import finetune as finetuning

    bundle = system.open_bundle(None if arguments.base == STARTER else Path(arguments.base))
    default = configs.default_for(LMConfig(**bundle.configs["lm"]), arguments.method)
    config = chosen(arguments, finetuning.going_on_from(default, bundle))
    fitted = finetuning.finetune(
        bundle,
        arguments.data,
        arguments.out,
        config,
        work=arguments.work,
        rehearsal_data=arguments.rehearse,
        workers=arguments.workers,
        log=lambda line: progress(arguments, line),
    )
    end_progress(arguments)
    before, after = float(fitted.before["nats_mean"]), float(fitted.after["nats_mean"])
    report = {
        "command": "finetune",
        "out": str(arguments.out),
        "method": config.method,
        "steps": int(fitted.state.step),
        "seconds": float(fitted.state.elapsed_seconds),
        "held_out_nats_before": before,
        "held_out_nats_after": after,
    }
    lines = [
        f"{arguments.out}: {config.method}, {report['steps']} steps in {report['seconds']:.0f} s",
        f"  held-out loss {before:.3f} to {after:.3f} nats a code ({100 * (after / before - 1):+.1f} %)",
        f"  next: mrtpy ui --bundle {arguments.out}",
    ]
    emit(arguments, report, lines)
    return 0


def check_extra(feature: str) -> None:
    """Says which extra is missing before any work is done."""
    import importlib

    for module in TRAIN_MODULES:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise MissingExtraError(feature, module.split(".")[0], "train") from error


def join_hosts(arguments: argparse.Namespace) -> None:
    """Joins the other hosts' processes, before anything else asks JAX for its devices."""
    if arguments.distributed:
        import jax

        jax.distributed.initialize()


def chosen(arguments: argparse.Namespace, config: FinetuneConfig) -> FinetuneConfig:
    """The preset's configuration with what was asked for."""
    from magenta_rt_py.train.finetune.config import starter
    from magenta_rt_py.train.sharding import MeshConfig

    adapter_options = {"rank": "rank", "alpha": "alpha", "target": "targets"}
    adapted = {field: _given(arguments, option) for option, field in adapter_options.items()}
    adapted = {name: value for name, value in adapted.items() if value is not None}
    if adapted and not config.is_lora:
        raise ValueError("--rank, --alpha and --target are for adapters; add --method lora")
    options = {
        "steps": "steps",
        "batch": "batch_size",
        "accumulate": "accumulate",
        "optimizer": "optimizer",
        "learning_rate": "learning_rate",
        "style_dropout": "style_dropout",
        "dtype": "activation_dtype",
        "rematerialise": "rematerialise",
        "seed": "seed",
        "rehearsal_share": "rehearsal_share",
        "anchor_weight": "anchor_weight",
    }
    given = {field: _given(arguments, option) for option, field in options.items()}
    fields = {name: value for name, value in given.items() if value is not None}
    if _given(arguments, "rehearse") and not fields.get("rehearsal_share", config.rehearsal_share):
        if "rehearsal_share" in fields:
            raise ValueError("--rehearse names music and --rehearsal-share 0 takes none of it; leave one of them out")
        fields["rehearsal_share"] = starter().rehearsal_share
    mesh = MeshConfig(fsdp=arguments.fsdp, tensor=arguments.tensor)
    return dataclasses.replace(config, adapters=dataclasses.replace(config.adapters, **adapted), mesh=mesh, **fields)


def _given(arguments: argparse.Namespace, option: str) -> Any:
    return getattr(arguments, option, None)


def _plan(arguments: argparse.Namespace) -> int:
    from magenta_rt_py.generators import system
    from magenta_rt_py.lm.config import LMConfig
    from magenta_rt_py.train.finetune import config as configs
    from magenta_rt_py.train.finetune import plan, presets

    if arguments.preset:
        name, model = arguments.preset, presets.size(arguments.preset)
        default = presets.training(name, arguments.method)
    else:
        bundle = system.open_bundle(None if arguments.base == STARTER else Path(arguments.base))
        name, model = bundle.path.name, LMConfig(**bundle.configs["lm"])
        default = configs.default_for(model, arguments.method)
    config = chosen(arguments, default)
    made = plan.make_plan(config, model, arguments.devices)
    fits = arguments.memory is None or made.num_bytes <= arguments.memory * GIGABYTE
    report = {
        "command": "finetune --plan",
        "model": name,
        "config": dataclasses.asdict(config),
        "fits": fits,
        "bytes_a_device": made.num_bytes,
        "by_kind": made.by_kind(),
        **dataclasses.asdict(made),
    }
    emit(arguments, report, _plan_lines(name, config, made, arguments.memory, fits))
    return 0 if fits else 1


def _plan_lines(name: str, config: FinetuneConfig, made: Plan, memory: float | None, fits: bool) -> list[str]:
    from magenta_rt_py.train.finetune.plan import grouped

    mesh = " x ".join(f"{axis} {count}" for axis, count in made.mesh.items())
    lines = [
        f"{name}, {config.method}, {config.optimizer}, {config.activation_dtype}, batch {config.batch_size}"
        f" in {config.accumulate}, {'layers rematerialised' if config.rematerialise else 'layers kept'}",
        f"{made.devices} devices: {mesh}",
        "",
        f"{'MB a device':>12}  {'what':<10}  split over, shape, path",
    ]
    for row, count in grouped(made.rows):
        axes = ",".join(axis or "-" for axis in row.axes) or "-"
        shape = "x".join(map(str, row.shape)) or "number"
        times = f" ({count} of them)" if count > 1 else ""
        lines.append(f"{row.num_bytes / 1e6:12.2f}  {row.kind:<10}  [{axes}] {shape} {row.path}{times}")
    lines += [f"{size / 1e6:12.2f}  {'activation':<10}  {what}" for what, size in made.activations.items()]
    lines += ["", *(f"{size / GIGABYTE:12.3f} GB  {kind}" for kind, size in made.by_kind().items())]
    verdict = "" if memory is None else f", {'fits' if fits else 'does not fit'} {memory:g} GB"
    return [*lines, f"{made.num_bytes / GIGABYTE:12.3f} GB  a device in all{verdict}"]

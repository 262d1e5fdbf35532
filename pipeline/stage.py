"""The frame of every stage: its flags and params read from its signature, its errors, its log, its workers."""

import argparse
import ast
import functools
import hashlib
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

from pipeline import params
from pipeline.domain.errors import InputError

log = logging.getLogger("tumorflow")


@dataclass(frozen=True)
class Key:
    """Marks a parameter of a stage function as a key of params.yaml: ``Annotated[int, Key("cohort.seed")]``."""

    name: str


def flags(function: Callable) -> list[str]:
    """Names of the path parameters of a stage function: its flags, e.g. ``raw`` for ``--raw``."""
    return [name for name, parameter in _parameters(function).items() if parameter.annotation is Path]


def keys(function: Callable) -> dict[str, tuple[str, Any]]:
    """Parameters that come from params.yaml: name -> (dotted key, type)."""
    return {
        name: (get_args(parameter.annotation)[1].name, get_args(parameter.annotation)[0])
        for name, parameter in _parameters(function).items()
        if get_origin(parameter.annotation) is Annotated and isinstance(get_args(parameter.annotation)[1], Key)
    }


def _parameters(function: Callable) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


def main(
    function: Callable,
    arguments: Sequence[str] | None = None,
    recorded: Callable[[str], AbstractContextManager] = nullcontext,
) -> None:
    """Run a stage function from the command line.

    Parameters
    ----------
    function : callable
        Its `Path` parameters are required flags; its ``Annotated[kind, Key(name)]`` parameters are
        read from params.yaml and checked before anything is touched.
    arguments : sequence of str, optional
        Instead of ``sys.argv[1:]``.
    recorded : callable, optional
        Takes the function's name and gives what it runs within, such as a measurement of what it takes.
    """
    parser = argparse.ArgumentParser(prog=f"python -m pipeline.{function.__name__}", description=inspect.getdoc(function))
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    parser.add_argument("--check", action="store_true", help="check the params, touch nothing; needs no other flag")
    arguments = sys.argv[1:] if arguments is None else arguments
    for name in flags(function):
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, type=Path, required="--check" not in arguments, metavar="PATH")
    chosen = vars(parser.parse_args(arguments))
    path, check = chosen.pop("params"), chosen.pop("check")
    with reported_errors():
        values = params.read(path)
        typed = {name: params.value(values, key, kind, path) for name, (key, kind) in keys(function).items()}
        compute = params.value(values, "compute", params.Compute, path)
        if not check:
            with recorded(function.__name__), _computing_on_demand(compute):
                function(**chosen, **typed)


class reported_errors:
    """Print an `InputError`, or what the system says of a file, without a traceback and exit with 1; set up the log."""

    def __enter__(self) -> None:
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
        for noisy in ("absl", "alembic", "matplotlib", "mlflow", "nibabel.global"):
            logging.getLogger(noisy).setLevel(logging.ERROR)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, InputError):
            sys.exit(f"\nerror: {error}")
        if isinstance(error, OSError) and error.filename:
            sys.exit(f"\nerror: {_explained(error)}")


@contextmanager
def computing(compute: params.Compute) -> Iterator[None]:
    """Let `over_cases` work where the section `compute` says, for a while.

    Raises
    ------
    InputError
        If the library of the backend is not installed, or its scheduler cannot be reached.
    """
    from joblib import parallel_config

    workers = compute.workers or usable_cores()
    with ExitStack() as stack:
        try:
            _BACKENDS[compute.backend](stack, compute.address, workers)
        except ImportError as error:
            raise InputError(
                f"params.yaml: compute.backend is {compute.backend}, which is not installed ({error}): pip install {error.name}."
            ) from None
        except OSError as error:
            raise InputError(
                f"params.yaml: compute.address is {compute.address!r}, and no {compute.backend} answers there ({error})."
            ) from None
        stack.enter_context(parallel_config(compute.backend, n_jobs=workers))
        yield


_join: ContextVar[Callable[[], Any]] = ContextVar("_join", default=lambda: None)


@contextmanager
def _computing_on_demand(compute: params.Compute) -> Iterator[None]:
    """As `computing`, begun by the first `over_cases`: a stage without one asks nothing of joblib or of a cluster."""
    with ExitStack() as stack:

        def join() -> None:
            stack.enter_context(computing(compute))
            _join.set(lambda: None)

        before = _join.set(join)
        try:
            yield
        finally:
            _join.reset(before)


def _dask(stack: ExitStack, address: str, workers: int) -> None:
    """Join the scheduler at an address, or workers of our own."""
    from distributed import Client, LocalCluster

    here = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
    where = address or stack.enter_context(LocalCluster(n_workers=workers, threads_per_worker=1, **here))
    stack.enter_context(Client(where))


def _ray(stack: ExitStack, address: str, workers: int) -> None:
    """Join the cluster at an address, or workers of our own."""
    import ray
    from ray.util.joblib import register_ray

    where = {"address": address} if address else {"num_cpus": workers, "include_dashboard": False}
    ray.init(**where, log_to_driver=False)
    stack.callback(ray.shutdown)
    register_ray()


_BACKENDS = {"loky": lambda stack, address, workers: None, "dask": _dask, "ray": _ray}


def over_cases(work: Callable, cases: Iterable, describe: str, workers: int | None = None) -> list:
    """Apply a function to every case in parallel, with a progress bar, results in order.

    Parameters
    ----------
    work : callable
        Taking one case; its results depend on nothing but the case.
    cases : iterable
        What it is applied to.
    describe : str
        What the progress bar says is being done.
    workers : int, optional
        Number of processes; when None, those of `computing`, or all usable cores.

    Returns
    -------
    list
        Results in the order of the cases.

    Raises
    ------
    InputError
        With the messages of all cases that could not be processed, not only of the first. Within a stage also as
        `computing`, whose section takes effect with the first call.
    """
    from joblib import Parallel, delayed
    from joblib.parallel import get_active_backend
    from tqdm import tqdm

    _join.get()()
    cases = list(cases)
    backend, wanted = get_active_backend()
    workers = min(workers or wanted or usable_cores(), max(len(cases), 1))
    as_they_come = "generator" if backend.supports_return_generator else "list"
    results = Parallel(n_jobs=workers, return_as=as_they_come, batch_size=1)(delayed(_caught)(work, case) for case in cases)
    results = list(tqdm(results, total=len(cases), desc=describe, unit="case", mininterval=1, disable=not cases))
    faults = [str(result) for result in results if isinstance(result, InputError)]
    if faults:
        raise InputError("\n".join([*faults, f"{len(faults)} of {len(cases)} cases refused."]))
    return results


def _caught(work: Callable, case: Any) -> Any:
    try:
        return work(case)
    except InputError as fault:
        return fault
    except OSError as fault:
        if not fault.filename:
            raise
        return InputError(_explained(fault))


def _explained(fault: OSError) -> str:
    return f"{fault.filename}: {fault.strerror}. Check that it exists, that it may be read or written, and that the disk has room."


def root() -> Path:
    """The repository's root, also in the temporary workspace of a queued experiment; outside of a repository the current folder."""
    here = Path.cwd()
    around = (folder for folder in (here, *here.parents) if (folder / ".dvc").is_dir())
    return Path(os.environ.get("DVC_ROOT") or next(around, here))


def usable_cores() -> int:
    """Cores this process may run on, at least one."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def code_files(module: str) -> tuple[Path, ...]:
    """Files of ours that a module imports, itself included, through every import statement.

    Parameters
    ----------
    module : str
        Dotted name, such as ``pipeline.train``.

    Returns
    -------
    tuple of Path
        Relative to the folder that holds the package, sorted. What `dvc.yaml` must list.
    """
    root = Path(__file__).parent.parent
    found, waiting = set(), {module}
    while waiting:
        path = _file_of(root, waiting.pop())
        if path is None or path.relative_to(root) in found:
            continue
        found.add(path.relative_to(root))
        waiting |= _imports(path)
    return tuple(sorted(found))


def _file_of(root: Path, module: str) -> Path | None:
    base = root / Path(*module.split("."))
    return next((path for path in (base.with_suffix(".py"), base / "__init__.py") if path.is_file()), None)


def _imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    ours = {name for name in names if name.split(".")[0] == "pipeline"}
    return ours | {parent for name in ours for parent in _parents(name)}


def _parents(name: str) -> set[str]:
    parts = name.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts))}


def code_hash(module: str) -> str:
    """Hash (sha256, hex) of the files `code_files` names, for fingerprints and tags."""
    digest = hashlib.sha256()
    root = Path(__file__).parent.parent
    for path in code_files(module):
        digest.update(f"{path.as_posix()}\0".encode() + (root / path).read_bytes() + b"\0")
    return digest.hexdigest()

"""Which CLIP models there are, and where their files lie: shipped, on disk, or a download away.

A model is a folder with ``open_clip_config.json`` and ``open_clip_model.safetensors``, as the
hub's open_clip repositories have them. A model of the list below is such a folder in the hub's
cache, the embedded one such a folder in assets/; a path is one given by hand.
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path

from fewshot.types import InputError

CONFIG_FILE, WEIGHTS_FILE = "open_clip_config.json", "open_clip_model.safetensors"
# Of the embedded model, and of what ``train clip`` makes beside it.
CARD_FILE, MEANS_FILE = "card.json", "class_means.safetensors"
# Tokenizer files are fetched too, for the models whose text tower does not use CLIP's own.
PATTERNS = [CONFIG_FILE, WEIGHTS_FILE, "tokenizer*.json", "special_tokens_map.json", "vocab.*"]
ANSWER_SECONDS = 2.5


@dataclass(frozen=True)
class ClipModel:
    """A model of the hub.

    Attributes:
        name: how it is chosen.
        repository: on the hub.
        megabytes: size of the download.
        licence: of the weights.
        accuracy: published zero-shot accuracy on ImageNet's 1,000 classes, in percent
            (https://github.com/mlfoundations/open_clip/blob/main/docs/openclip_results.csv and
            https://huggingface.co/timm/MobileCLIP2-S0-OpenCLIP).
        note: what else speaks for or against it, or empty.
    """

    name: str
    repository: str
    megabytes: int
    licence: str
    accuracy: float
    note: str = ""


CLIP_MODELS = {
    model.name: model
    for model in (
        ClipModel("ViT-B-32", "laion/CLIP-ViT-B-32-DataComp.XL-s13B-b90K", 605, "MIT", 69.2),
        ClipModel("ViT-B-16", "laion/CLIP-ViT-B-16-DataComp.XL-s13B-b90K", 599, "MIT", 73.5),
        ClipModel(
            "MobileCLIP2-S0", "timm/MobileCLIP2-S0-OpenCLIP", 300, "Apple AMLR, research only", 71.5
        ),
        ClipModel(
            "ViT-L-14", "laion/CLIP-ViT-L-14-DataComp.XL-s13B-b90K", 1712, "MIT", 79.2, "for a GPU"
        ),
    )
}
DEFAULT_CLIP = "ViT-B-32"
# Shipped with the project: what answers where no other model is on the machine.
EMBEDDED = "embedded"
# What of a model's card is believed, and between which values.
BELIEVED = {"crop": (0.05, 1.0), "enlarge": (0.25, 4.0), "temperature": (0.01, 1000.0)}
EMBEDDED_FOLDER = Path(__file__).parents[2] / "assets" / "checkpoints" / "clip-embedded"


@dataclass(frozen=True)
class ClipFolder:
    """A model whose files are on disk.

    Attributes:
        name: how it was chosen.
        path: the folder.
        licence: of the weights.
        caution: where not to trust it, one sentence for people, or empty.
        crop, enlarge, temperature: see :class:`ClipEncoder`; what the model's card says, else 0, 1
            and None.
    """

    name: str
    path: Path
    licence: str
    caution: str = ""
    crop: float = 0.0
    enlarge: float = 1.0
    temperature: float | None = None


def clip_name(model: str | None) -> str | None:
    """The model meant by a user's choice: ``$FEWSHOT_CLIP``, where it is None and that is set."""
    return model or os.environ.get("FEWSHOT_CLIP") or None


def find_clip(model: str | None = None) -> ClipFolder:
    """Where a model lies on this machine; nothing is downloaded.

    Args:
        model: ``embedded``, a name of :data:`CLIP_MODELS`, ``hf-hub:OWNER/NAME``, or a folder;
            None takes the default where it is on this machine, else the embedded one.

    Raises:
        InputError: it is not on this machine, or is not a model; says what to do.
    """
    name = clip_name(model)
    if name is not None:
        return _found(name)
    try:
        return _found(DEFAULT_CLIP)
    except InputError:
        return _found(EMBEDDED)


def _found(name: str) -> ClipFolder:
    if name == EMBEDDED:
        card = json.loads((EMBEDDED_FOLDER / CARD_FILE).read_text("utf-8"))
        caution = (
            f"CLIP is the small embedded model here: it knows {card['knows']}; its answers for any "
            "other name, or about what is too fine for 64 × 64 pixels, mean little."
        )
        return ClipFolder(
            EMBEDDED, EMBEDDED_FOLDER, card["licence"], caution, **_of_card(EMBEDDED_FOLDER)
        )
    repository = _repository(name)
    if repository is None:
        return _local(name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        found = Path(snapshot_download(repository, local_files_only=True, allow_patterns=PATTERNS))
    except HFValidationError as error:
        raise InputError(_no_name(repository)) from error
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError) as error:
        raise InputError(_absent(name)) from error
    if not (found / WEIGHTS_FILE).exists() or not (found / CONFIG_FILE).exists():
        raise InputError(_absent(name))
    listed = CLIP_MODELS.get(name)
    return ClipFolder(name, found, listed.licence if listed else "as its page on the hub says")


def download_clip(model: str | None = None) -> ClipFolder:
    """Download a model of the hub to its cache; asked for by a person, never on its own.

    Raises:
        InputError: the hub cannot be reached within ANSWER_SECONDS, or has no such model.
    """
    name = clip_name(model) or DEFAULT_CLIP
    repository = _repository(name)
    if repository is None:
        if name == EMBEDDED or _path_of(name).is_dir():
            return _found(name)  # here already
        raise InputError(
            f"There is no CLIP model “{name}” to download: choose {', '.join(CLIP_MODELS)}, or "
            "hf-hub:OWNER/NAME."
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    _check_reachable(repository)
    try:
        snapshot_download(repository, allow_patterns=PATTERNS, etag_timeout=ANSWER_SECONDS)
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"{name} could not be downloaded ({type(error).__name__}); try again later, or name "
            "the folder of a local copy with --model."
        ) from error
    return find_clip(name)


def _repository(name: str) -> str | None:
    """A model's repository on the hub, or None for a local folder."""
    if name in CLIP_MODELS:
        return CLIP_MODELS[name].repository
    if name.startswith("hf-hub:"):
        return name.removeprefix("hf-hub:")
    return None


def _no_name(repository: str) -> str:
    return f"“{repository}” is not a name the hub can have: give hf-hub:OWNER/NAME."


def _absent(name: str) -> str:
    listed = CLIP_MODELS.get(name)
    how = f" ({listed.megabytes} MB) with the button under Settings or" if listed else " with"
    return (
        f"The CLIP model {name} is not on this machine: download it{how} “python -m fewshot "
        f"download {name}”, or name the folder of a local copy with --model."
    )


def _local(name: str) -> ClipFolder:
    path = _path_of(name)
    if path.name == WEIGHTS_FILE and path.is_file():
        path = path.parent  # where its configuration lies, too
    if path.is_file():
        raise InputError(
            f"{path.name} alone is no CLIP model: put it into a folder as {WEIGHTS_FILE}, with its "
            f"{CONFIG_FILE} beside it, and name that."
        )
    if not path.is_dir():
        raise InputError(
            f"There is no CLIP model “{name}”: choose {EMBEDDED}, {', '.join(CLIP_MODELS)}, "
            "hf-hub:OWNER/NAME, or the folder of a local copy."
        )
    for file in (CONFIG_FILE, WEIGHTS_FILE):
        if not (path / file).is_file():
            raise InputError(f"The folder {path} is no open_clip model: it has no {file}.")
    return ClipFolder(name, path, "as its owner says", **_of_card(path))


def _path_of(name: str) -> Path:
    """The path that is meant; one that no machine can have is as good as one that is not there."""
    try:
        path = Path(name).expanduser()
        path.exists()
    except (OSError, RuntimeError, ValueError):
        return Path("/dev/null/nowhere")
    return path


def _of_card(folder: Path) -> dict[str, float]:
    """What of a :class:`ClipFolder` the card of a model made by ``train clip`` says."""
    try:
        card = json.loads((folder / CARD_FILE).read_text("utf-8"))
        said = {key: float(card[key]) for key in BELIEVED if key in card}
    except (OSError, ValueError, TypeError):
        return {}
    believable = {key: least <= said.get(key, 0) <= most for key, (least, most) in BELIEVED.items()}
    return {key: value for key, value in said.items() if believable[key]}


def _check_reachable(repository: str) -> None:
    """Ask the hub for a model's configuration, and wait no longer than ANSWER_SECONDS.

    In a thread, because a name look-up that hangs obeys no timeout of the request's.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import HFValidationError

    outcome: list[Exception | None] = []

    def ask() -> None:
        try:
            get_hf_file_metadata(hf_hub_url(repository, CONFIG_FILE), timeout=ANSWER_SECONDS)
            outcome.append(None)
        except Exception as error:  # whatever it was is said below
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ANSWER_SECONDS)
    error = outcome[0] if outcome else TimeoutError()
    if isinstance(error, HFValidationError):
        raise InputError(_no_name(repository)) from error
    if error is not None:
        raise InputError(
            f"The model hub did not answer for {repository} ({type(error).__name__}): check the "
            "network, or name the folder of a local copy with --model."
        ) from error

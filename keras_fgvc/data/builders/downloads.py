"""Finds out within seconds whether a data set can be downloaded.

TensorFlow Datasets tries an address again and again, for more than three
minutes where there is no network, and then says nothing of a way out. Asking
the address for its headers first costs a round trip.
"""

import http.client
import os
import threading
import urllib.error
import urllib.parse
import urllib.request

TIMEOUT = 5.0  # seconds
GONE = (404, 410)


def check_downloads(name: str, urls, manual_dir, note: str = "") -> None:
    """Raises if a file must be downloaded and its address does not answer.

    Args:
        name: Name of the data set, for the message.
        urls: Dictionary from the name of each file that has to be downloaded
            to its addresses, any of which will do.
        manual_dir: Folder for files that were downloaded by hand.
        note: Another way to the data set, for the message.

    Raises:
        ConnectionError: No address of a file answers within seconds, or it
            is not there any more.
    """
    for addresses in urls.values():
        problems = [_problem(address) for address in addresses]
        if all(problems):
            raise ConnectionError(
                f'The data set "{name}" is not prepared yet and cannot be '
                f"downloaded: {problems[0]}.\n{by_hand(urls, manual_dir)}"
                f"\n{note}".rstrip()
            )


def by_hand(urls, manual_dir) -> str:
    """Says what to download by hand and where to put it; see above."""
    listed = "\n".join(
        f"  {file} from {addresses[0]}" for file, addresses in urls.items()
    )
    return (
        f"Download by hand what is missing, put it into {manual_dir} under "
        f"these names and run this again:\n{listed}"
    )


def files_to_download(builder, urls, manual_dir) -> dict[str, list[str]]:
    """File name -> its addresses, of what is neither here by hand nor cached.

    Args:
        builder: `tfds.core.DatasetBuilder`.
        urls: Dictionary from files to the addresses that the builder takes
            without announcing them.
        manual_dir: Folder for files that were downloaded by hand, perhaps
            unpacked to a folder of their name.
    """
    announced = [
        (facts.filename or _last_part(url), url, facts.checksum)
        for url, facts in (builder.url_infos or {}).items()
    ]
    found, present = {}, set()
    others = [(name, url, None) for name, url in urls.items()]
    for name, url, checksum in announced + others:
        found.setdefault(name, []).append(url)
        places = [os.path.join(manual_dir, name)]
        places += _cache_places(builder, url, checksum)
        if checksum is None:
            unpacked = name.partition(".")[0]
            places.append(os.path.join(manual_dir, unpacked))
        if any(os.path.exists(place) for place in places):
            present.add(name)
    return {name: found[name] for name in found if name not in present}


def _cache_places(builder, url, checksum) -> list[str]:
    """Returns the paths where TensorFlow Datasets may keep a download."""
    from tensorflow_datasets.core.download import resource

    folder = os.path.join(builder.data_dir_root, "downloads")
    name = resource.get_dl_fname(url, checksum)
    return [
        os.path.join(folder, name),
        os.path.join(folder, builder.name, name),
    ]


def _last_part(url: str) -> str:
    return os.path.basename(urllib.parse.urlsplit(url).path)


def _problem(url: str) -> str | None:
    """Returns what is wrong with an address, or None.

    The look-up of a host's name has no time limit of its own.
    """
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(_ask(url)), daemon=True
    )
    thread.start()
    thread.join(2 * TIMEOUT)
    found = answers[0] if answers else "does not answer"
    return found and f"{urllib.parse.urlsplit(url).netloc} {found}"


def _ask(url: str) -> str | None:
    request = urllib.request.Request(
        url, method="HEAD", headers={"User-Agent": "keras_fgvc"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT):
            return None
    except urllib.error.HTTPError as error:
        # Servers may refuse a question for headers alone.
        return f"says {error.code} to {url}" if error.code in GONE else None
    except (OSError, http.client.HTTPException) as error:
        return f"cannot be reached ({getattr(error, 'reason', error)})"

"""Invented owners with mailing addresses, and invented street names; no name is a real person's on purpose."""

from dataclasses import dataclass

import numpy as np

from services.ingest.synthetic.streets import Lots, type_ints

_ONSETS = ("Bran", "Cald", "Dor", "El", "Fen", "Gar", "Hal", "Ist", "Kel", "Lor", "Mar", "Nev", "Or", "Pell", "Quin")
_MIDDLES = ("a", "e", "i", "o", "u", "ar", "en", "il", "or", "un")
_ENDINGS = ("dale", "field", "gren", "holt", "kirk", "lund", "mont", "ness", "rick", "stad", "ton", "vale", "wick")
_FIRST_NAMES = (
    "Adela", "Brice", "Corin", "Della", "Edwin", "Farah", "Galen", "Hana", "Ivor", "Joss", "Kira", "Lamar",
    "Mira", "Nolan", "Odette", "Piers", "Quill", "Rosa", "Silas", "Tamsin", "Ulric", "Vera", "Wendel", "Yara",
)  # fmt: skip
_STREETS = (
    "ALDER", "BASALT", "BITTERROOT", "BUNCHGRASS", "CAMAS", "CANAL", "CHUKAR", "COTTONWOOD", "COULEE", "CURLEW",
    "DUNE", "FESCUE", "GOLDFINCH", "HERON", "HOP", "JUNIPER", "KESTREL", "LARKSPUR", "LOESS", "LUPINE", "MERLOT",
    "OSPREY", "PELICAN", "QUAIL", "RABBITBRUSH", "RIESLING", "SAGE", "SHRUB STEPPE", "SYRAH", "TAMARACK", "WILLET",
)  # fmt: skip
_SUFFIXES = ("ST", "AVE", "DR", "LN", "CT", "PL", "RD")
_PREFIXES = ("", "N", "S", "E", "W")
CITIES = (("RIVERBEND", "99001"), ("BASALT CITY", "99002"), ("SAGE HILLS", "99003"))
_SECOND_OWNER_SHARE = 0.08
_SAME_OWNER_SHARE = 0.05
_COMPANY_SHARE = 0.06


@dataclass(frozen=True, slots=True)
class Owners:
    """Accounts (names, mailing addresses) and who holds what share of which holding."""

    first_name: np.ndarray
    last_name: np.ndarray
    file_as_name: np.ndarray
    is_confidential: np.ndarray
    address_line: np.ndarray
    city: np.ndarray
    zip: np.ndarray
    holding: type_ints
    account: type_ints
    percent: np.ndarray


def street_of(street: type_ints) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prefix, name and suffix of streets by number."""
    mixed = street * 2_654_435_761 % 2**32
    return (
        np.array(_PREFIXES)[mixed // 7 % len(_PREFIXES)],
        np.array(_STREETS)[mixed // 64 % len(_STREETS)],
        np.array(_SUFFIXES)[mixed // 4_099 % len(_SUFFIXES)],
    )


def city_of(lots: Lots) -> type_ints:
    """The city of each lot, an index into `CITIES`: neighborhoods near each other share one."""
    count = int(lots.neighborhood.max()) + 1
    return lots.neighborhood * len(CITIES) // count


def name_owners(rng: np.random.Generator, lots: Lots, *, holdings: int) -> Owners:
    """Names owners for `holdings` properties, of which the first are the lots, in order."""
    is_same = (rng.random(holdings) < _SAME_OWNER_SHARE) & (np.arange(holdings) > 0)
    first = np.cumsum(~is_same) - 1
    has_second = rng.random(holdings) < _SECOND_OWNER_SHARE
    second = int(first[-1]) + np.cumsum(has_second)
    accounts = int(first[-1]) + 1 + int(has_second.sum())
    home = np.zeros(accounts, dtype=np.int64)
    home[second[has_second]] = np.flatnonzero(has_second)
    home[first[::-1]] = np.arange(holdings)[::-1]
    first_name, last_name, filed = _names(rng, accounts)
    line, city, zip_code = _mailing_addresses(rng, lots, home % len(lots.lot))
    holding = np.concatenate([np.arange(holdings), np.flatnonzero(has_second)])
    account = np.concatenate([first, second[has_second]])
    percent = np.where(has_second[holding], 50.0, 100.0)
    order = np.lexsort((account, holding))
    return Owners(
        first_name=first_name,
        last_name=last_name,
        file_as_name=filed,
        is_confidential=rng.random(accounts) < 0.004,
        address_line=line,
        city=city,
        zip=zip_code,
        holding=holding[order],
        account=account[order],
        percent=percent[order],
    )


def _names(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    parts = [np.array(words)[rng.integers(0, len(words), count)] for words in (_ONSETS, _MIDDLES, _ENDINGS)]
    last = np.strings.add(np.strings.add(parts[0], parts[1]), parts[2])
    first = np.array(_FIRST_NAMES)[rng.integers(0, len(_FIRST_NAMES), count)]
    person = np.strings.add(np.strings.add(np.strings.upper(last), ", "), np.strings.upper(first))
    company = np.strings.add(np.strings.upper(last), " HOLDINGS LLC")
    is_company = rng.random(count) < _COMPANY_SHARE
    return np.where(is_company, "", first), np.where(is_company, "", last), np.where(is_company, company, person)


def _mailing_addresses(
    rng: np.random.Generator, lots: Lots, home: type_ints
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Most owners live on a lot of theirs; the others have a box or live in another of the cities."""
    prefix, street, suffix = street_of(lots.street[home])
    number = lots.house_number[home].astype(str)
    words = [number, prefix, street, suffix]
    line = words[0]
    for word in words[1:]:
        line = np.strings.add(line, np.where(word == "", "", np.strings.add(" ", word)))
    box = np.strings.add("PO BOX ", rng.integers(100, 9_999, len(home)).astype(str))
    away = rng.random(len(home)) < 0.2
    city = np.where(away, rng.integers(0, len(CITIES), len(home)), city_of(lots)[home])
    names, codes = (np.array(column) for column in zip(*CITIES, strict=True))
    return np.where(away, box, line), names[city], codes[city]

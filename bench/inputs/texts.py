"""Text of messages: four in five like English, most others Korean with particles, some Chinese.

The frequent words are real ones, so that pieces like ``the`` and ``ing`` are as common as in real
text; the others are made of syllables, and how often a word comes falls with its rank.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from random import Random

FREQUENT = (
    "the of and to in is you that it he was for on are as with his they at be this have from or "
    "one had by word but not what all were we when your can said there use an each which she do "
    "how their if will up other about out many then them these so some her would make like him "
    "into time has look two more write go see number no way could people my than first water been "
    "call who oil its now find long down day did get come made may part model code python server "
    "data list file test please thanks help need want think know here just also because very good "
    "new ai"
)
SYLLABLES = (
    "ing er in ti con re pro de com ex ter an en ma ni ta ra la lo mo no po ro to sta ble ment "
    "tion al ic ous ive ful ness ly ist ize ate per sub dis un trans inter cal car can tan lin men "
    "den ver mer der ber tor tur gra pla cri fla sho cha whe thi bri blo cou fou gen geo hyd ide "
    "jo ka ki lu mi nu oc pe qui ri sa su te ul va vo wa wi xe ya zo"
)
PARTICLES = (
    "은 는 이 가 을 를 에 에서 으로 로 와 과 도 만 의 까지 부터 에게 한테 입니다 이에요 하고 "
    "했습니다 해 주세요"
)
NOUNS = (
    "서울 부산 날씨 오늘 내일 사람 시간 모델 서버 대화 검색 문장 질문 대답 회의 프로젝트 데이터 "
    "파일 코드 파이썬 학교 여행 음식 영화 음악 책 친구 가족 회사 일정"
)
HANGUL = (
    "가나다라마바사아자차카타파하고노도로모보소오조초구누두루무부수우주기니디리미비시이지치강남산성"
    "신정진천현한경영원인"
)
HANZI = (
    "的一是不了人我在有他这为之大来以个中上们到说国和地也子时道出而要于就下得可你年生自会那后能对着"
    "事其里所去行过家十用发天如然作方成者多日都三小军二无同么经法当起与好看学进种将还分此心前面又定"
    "见只主没公从编程模型数据问题回答北京上海"
)
RARE = "zyxomatic qj 뷁쉙 龘靐"
RARE_MESSAGES = 10

QUERIES = {
    "rare word": ("zyxomatic", "뷁쉙", "yxoma"),
    "uncommon word": ("menlavajo", "erilinun", "여행", "프로젝트", "데이터에서"),
    "common word": ("the", "there", "please", "model", "tion", "서울은"),
    "two letters, rare": ("qj", "龘靐", "zy"),
    "two letters, common": ("ai", "th", "서울", "编程", "的一"),
    "two words": ("server model", "ai code", "서울 날씨", "zyxomatic the", "编程 问题"),
    "no hit": ("wqxzv", "뷁뷁뷁", "xq zy"),
}
"""What is looked for, by kind."""

SCATTERED = ("tionthe", "theingand", "ionther", "andthere", "conforthe")
"""The worst that can be asked: every three letters are common, all together never come."""

Words = Callable[[Random, float], str]
"""Text of about 150 characters times the number."""


def texts(count: int, seed: int = 3) -> Iterator[str]:
    """Messages of 10 to 1,000 characters; ten of them hold the rare words."""
    random = Random(seed)
    kinds = _english(random), _korean(random), _chinese()
    every = max(1, count // RARE_MESSAGES)
    for number in range(count):
        (kind,) = random.choices(kinds, cum_weights=(80, 95, 100))
        text = kind(random, random.lognormvariate(0, 0.6))
        yield f"{text} {RARE}" if number % every == every // 2 else text


def _english(random: Random) -> Words:
    vocabulary = _vocabulary(random, FREQUENT.split(), SYLLABLES.split(), (2, 2, 3, 3, 4), 20_000)
    weights = _falling(vocabulary)

    def words(random: Random, size: float) -> str:
        chosen = random.choices(vocabulary, cum_weights=weights, k=max(2, int(24 * size)))
        return " ".join(chosen).capitalize() + "."

    return words


def _korean(random: Random) -> Words:
    vocabulary = _vocabulary(random, NOUNS.split(), HANGUL, (2, 2, 3, 4), 5_000)
    particles = PARTICLES.split()
    weights = _falling(vocabulary)

    def words(random: Random, size: float) -> str:
        chosen = random.choices(vocabulary, cum_weights=weights, k=max(2, int(24 * size)))
        return " ".join(word + random.choice(particles) for word in chosen) + "."

    return words


def _chinese() -> Words:
    weights = _falling(HANZI)

    def words(random: Random, size: float) -> str:
        runs = max(1, int(8 * size))
        chosen = ("".join(random.choices(HANZI, cum_weights=weights, k=10)) for _ in range(runs))
        return "，".join(chosen) + "。"  # noqa: RUF001 — the comma of Chinese

    return words


def _vocabulary(
    random: Random,
    frequent: Sequence[str],
    parts: Sequence[str],
    lengths: Sequence[int],
    size: int,
) -> list[str]:
    """The frequent words first, then others made of parts."""
    words = dict.fromkeys(frequent)
    while len(words) < size:
        words["".join(random.choices(parts, k=random.choice(lengths)))] = None
    return list(words)


def _falling(ranked: Sequence[str]) -> list[float]:
    """Cumulative weights: each word comes more often than the next (Zipf's law)."""
    return list(accumulate(1 / (rank + 2.7) for rank in range(len(ranked))))

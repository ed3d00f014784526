"""Questions and passages that answer them, which share hardly a word."""

from __future__ import annotations

ENGLISH = (
    (
        "How many people live in Berlin?",
        "Berlin had a population of about 3.5 million registered inhabitants.",
    ),
    (
        "What does photosynthesis produce?",
        "Plants turn light, water and carbon dioxide into sugar and release oxygen.",
    ),
    (
        "Who painted the Mona Lisa?",
        "Leonardo da Vinci worked on the famous portrait of Lisa Gherardini from 1503.",
    ),
    (
        "How do I reset my password?",
        "Open the account page, choose forgotten credentials and follow the link in the e-mail.",
    ),
    (
        "What causes tides?",
        "The pull of the moon and the sun lifts the water of the oceans twice a day.",
    ),
    (
        "Why is the sky blue?",
        "Air scatters short wavelengths of sunlight more strongly than long ones.",
    ),
    (
        "How long should I boil an egg?",
        "For a firm yolk leave it in hot water for ten minutes; six give a soft one.",
    ),
    (
        "What is a black hole?",
        "A region of space whose gravity is so strong that not even light escapes.",
    ),
    (
        "How can I learn to play guitar?",
        "Begin with open chords and practise changing between them for fifteen minutes each day.",
    ),
    (
        "When did the Second World War end?",
        "Japan surrendered in September 1945, months after Germany's capitulation in May.",
    ),
    (
        "What is the boiling point of water at altitude?",
        "On high mountains the lower pressure makes liquids boil below 100 degrees Celsius.",
    ),
    (
        "How do vaccines work?",
        "They show the immune system a harmless part of a germ so that it makes antibodies.",
    ),
    (
        "What is inflation in economics?",
        "A general rise of prices over time, so that money buys less.",
    ),
    (
        "How do I remove a coffee stain?",
        "Blot the cloth, then rinse it with cold water and a little vinegar.",
    ),
    (
        "What is the tallest mountain in Africa?",
        "Kilimanjaro in Tanzania rises 5,895 metres above sea level.",
    ),
    (
        "How does a refrigerator cool?",
        "A compressor pumps a fluid that evaporates inside and takes heat out of the cabinet.",
    ),
    (
        "What are the symptoms of the flu?",
        "Fever, aching muscles, a dry cough and tiredness that come on suddenly.",
    ),
    (
        "How do bees make honey?",
        "Workers collect nectar, add enzymes and let water evaporate in the comb.",
    ),
    (
        "What is the capital of Australia?",
        "Canberra was chosen as the seat of government between Sydney and Melbourne.",
    ),
    (
        "How do I change a flat tyre?",
        "Loosen the nuts, lift the car with a jack, and swap the wheel for the spare.",
    ),
    (
        "What is machine learning?",
        "Programs that improve from examples instead of being given explicit rules.",
    ),
    (
        "Who wrote Hamlet?",
        "William Shakespeare's tragedy about the prince of Denmark was written around 1600.",
    ),
    (
        "How are earthquakes measured?",
        "Seismographs record ground motion, and a magnitude is computed on a logarithmic scale.",
    ),
    (
        "Why do leaves change colour in autumn?",
        "The green chlorophyll breaks down and yellow and red pigments become visible.",
    ),
    (
        "How do I back up a database?",
        "Write a dump to another disk every night and test restoring it.",
    ),
    (
        "What is the speed of light?",
        "In vacuum electromagnetic waves travel 299,792 kilometres each second.",
    ),
    (
        "How do I treat a burn?",
        "Hold the skin under cool running water for twenty minutes and cover it loosely.",
    ),
    ("What is a mortgage?", "A loan for buying a house, secured by the property itself."),
    (
        "Why do cats purr?",
        "Felines vibrate muscles of the larynx, often when content but also when hurt.",
    ),
    (
        "How does GPS find a position?",
        "A receiver compares the arrival times of signals from at least four satellites.",
    ),
)
"""Thirty."""

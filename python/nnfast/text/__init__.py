"""Texts as numbers for networks, and back.

A vocabulary, of characters, words, bytes or byte pairs, turns a text into token numbers, which `layers.Embedding`
reads; `pad_sequences` and `windows` arrange them in rows. `BagOfWords` and `TfIdf` turn each text into one row of
numbers for dense layers.

>>> import nnfast as nf
>>> letters = nf.text.CharacterVocabulary().fit(["to be or not to be"])
>>> letters.encode("robot")
array([5, 4, 1, 4, 6], dtype=int32)
>>> letters.decode([6, 4])
'to'
"""

from nnfast.core.options import module_names
from nnfast.text.bag_of_words import BagOfWords, TfIdf
from nnfast.text.byte_pairs import BytePairVocabulary, ByteVocabulary
from nnfast.text.sequences import pad_sequences, split_text, windows
from nnfast.text.splitting import ngrams
from nnfast.text.vocabulary import CharacterVocabulary, Vocabulary, WordVocabulary

__all__ = [
    "BagOfWords",
    "BytePairVocabulary",
    "ByteVocabulary",
    "CharacterVocabulary",
    "TfIdf",
    "Vocabulary",
    "WordVocabulary",
    "ngrams",
    "pad_sequences",
    "split_text",
    "windows",
]

__getattr__, __dir__ = module_names(
    __name__,
    __all__,
    {
        "CountVectorizer": "write text.BagOfWords()",
        "TfidfVectorizer": "write text.TfIdf()",
        "TextVectorization": "write text.WordVocabulary() or text.TfIdf()",
        "Tokenizer": "write text.WordVocabulary() or text.BytePairVocabulary()",
    },
)

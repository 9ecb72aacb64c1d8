// Random numbers as a function of (seed, step, stream, element): Philox4x32-10 (Salmon et al. 2011,
// DOI 10.1145/2063384.2063405). Key: the two halves of the seed. Counter: block number (low, high),
// step, stream. Block i contains the words of elements 4 i .. 4 i + 3.
#pragma once

constexpr int kPhiloxBlocks = 16;  // blocks computed together

// Word w of block i has index 4 i + w.
struct PhiloxWords {
  uint32_t word[4 * kPhiloxBlocks];
};

// Blocks from `first` on, two vectors of them, whose operations hide each other's latency. A number
// is the lower half of a lane; the upper half is arbitrary.
NNF_INLINE void philox_rounds(uint64_t (&number)[4][kPhiloxBlocks], int first, uint64_t seed) {
  constexpr int lanes = Vec<double>::lanes;
  Words c[2][4];
  for (int v = 0; v < 2; ++v) {
    for (int w = 0; w < 4; ++w) c[v][w] = load_words(number[w] + first + v * lanes);
  }
  uint32_t k0 = static_cast<uint32_t>(seed), k1 = static_cast<uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    const Words key0 = broadcast_words(k0), key1 = broadcast_words(k1);
    for (int v = 0; v < 2; ++v) {
      const Words a = multiply_lower_halves(c[v][0], broadcast_words(0xD2511F53u));
      const Words b = multiply_lower_halves(c[v][2], broadcast_words(0xCD9E8D57u));
      c[v][0] = (upper_half(b) ^ key0) ^ c[v][1];
      c[v][2] = (upper_half(a) ^ key1) ^ c[v][3];
      c[v][1] = b;
      c[v][3] = a;
    }
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  for (int v = 0; v < 2; ++v) {
    for (int w = 0; w < 4; ++w) store_words(number[w] + first + v * lanes, c[v][w]);
  }
}

NNF_OUTLINE void philox(PhiloxWords& out, const RandomStream& p, uint64_t first_block) {
  uint64_t number[4][kPhiloxBlocks];
  for (int i = 0; i < kPhiloxBlocks; ++i) {
    const uint64_t block = first_block + static_cast<uint64_t>(i);
    number[0][i] = block;
    number[1][i] = block >> 32;
    number[2][i] = p.step;
    number[3][i] = p.stream;
  }
  for (int i = 0; i < kPhiloxBlocks; i += 2 * Vec<double>::lanes) {
    philox_rounds(number, i, p.seed);
  }
  for (int i = 0; i < kPhiloxBlocks; ++i) {
    for (int w = 0; w < 4; ++w) out.word[4 * i + w] = static_cast<uint32_t>(number[w][i]);
  }
}

// Calls body(offset, words, from, count) for pieces of the elements first .. first + n; element
// first + offset + j, j < count, owns words[from + j]. PER_BLOCK elements share a block of 4 words.
template <int PER_BLOCK, class Body>
NNF_INLINE void for_each_random(index_t first, index_t n, const RandomStream& p, Body body) {
  constexpr index_t stretch = PER_BLOCK * kPhiloxBlocks;
  PhiloxWords words;
  index_t done = 0;
  while (done < n) {
    const index_t element = first + done;
    const index_t from = element % PER_BLOCK;
    philox(words, p, static_cast<uint64_t>(element / PER_BLOCK));
    const index_t count = stretch - from < n - done ? stretch - from : n - done;
    body(done, words.word, from, count);
    done += count;
  }
}

// y (n) = x scale for elements that are kept, else 0; `first` is the index of the first element. y
// may be x. The same call on dy gives dx.
template <class T>
void dropout(T* y, const T* x, index_t first, index_t n, const DropoutParams& p) {
  const Vec<T> scale = broadcast<T>(static_cast<T>(p.scale));
  const uint32_t threshold = p.threshold;
  for_each_random<4>(first, n, p.random,
                     [=](index_t done, const uint32_t* words, index_t from, index_t count) {
                       // Selected with vectors: a branch per element would be mispredicted half of
                       // the time.
                       T kept[4 * kPhiloxBlocks];
                       for (int j = 0; j < 4 * kPhiloxBlocks; ++j)
                         kept[j] = words[j] >= threshold ? T(1) : T(0);
                       for_each_vector<T>(count, [=](index_t j, int lanes) {
                         const Vec<T> value = load_n(x + done + j, lanes) * scale;
                         const Mask<T> stays = less(zero<T>(), load_n(kept + from + j, lanes));
                         store_n(y + done + j, select(stays, value, zero<T>()), lanes);
                       });
                     });
}

NNF_INLINE float uniform_of(const uint32_t* words, index_t j, float) {
  return static_cast<float>(words[j] >> 8) * 5.9604644775390625e-8f;  // 2^-24
}
NNF_INLINE double uniform_of(const uint32_t* words, index_t j, double) {
  const uint64_t bits = static_cast<uint64_t>(words[2 * j + 1]) << 32 | words[2 * j];
  return static_cast<double>(bits >> 11) * 1.1102230246251565e-16;  // 2^-53
}

// y (n) uniform in [0, 1): 24 random bits for float, 53 for double.
template <class T>
void random_uniform(T* y, index_t first, index_t n, const RandomStream& p) {
  for_each_random<16 / sizeof(T)>(
      first, n, p, [=](index_t done, const uint32_t* words, index_t from, index_t count) {
        for (index_t j = 0; j < count; ++j) y[done + j] = uniform_of(words, from + j, T());
      });
}

// y (n) standard normal (Box, Muller 1958, DOI 10.1214/aoms/1177706645): elements 2 i and 2 i + 1
// are r cos(2 pi u) and r sin(2 pi u), r = sqrt(-2 log(1 - w)), from the uniforms w, u of the pair.
template <class T>
void random_normal(T* y, index_t first, index_t n, const RandomStream& p) {
  constexpr int lanes = Vec<T>::lanes;
  T uniform[2 * lanes], radius_input[lanes], angle_input[lanes], cosines[lanes], sines[lanes];
  const index_t end = first + n;
  for (index_t pair = first / 2; 2 * pair < end; pair += lanes) {
    random_uniform<T>(uniform, 2 * pair, 2 * lanes, p);
    for (int j = 0; j < lanes; ++j) {
      radius_input[j] = T(1) - uniform[2 * j];
      angle_input[j] = uniform[2 * j + 1];
    }
    Vec<T> sine, cosine;
    sincos_2pi(load(angle_input), sine, cosine);
    const Vec<T> radius = sqrt(broadcast<T>(T(-2)) * log(load(radius_input)));
    store(cosines, radius * cosine);
    store(sines, radius * sine);
    for (int j = 0; j < 2 * lanes; ++j) {
      const index_t element = 2 * pair + j;
      if (element >= first && element < end)
        y[element - first] = j % 2 ? sines[j / 2] : cosines[j / 2];
    }
  }
}

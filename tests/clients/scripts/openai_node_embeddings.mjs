// A user of openai-node who wants vectors, and knows nothing but the address.

import assert from "node:assert/strict";
import OpenAI from "openai";

const [, , address] = process.argv;
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const model = "starter-embed";
const input = ["A unicorn has one horn.", "유니콘은 뿔이 하나다."];

const CHECKS = {
  async vectors_of_several_texts_in_order() {
    const answer = await client.embeddings.create({ model, input });
    assert.equal(answer.model, model);
    assert.deepEqual(answer.data.map(({ index }) => index), [0, 1]);
    for (const { embedding } of answer.data) {
      assert(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
    }
    assert.equal(answer.usage.prompt_tokens, answer.usage.total_tokens);
  },

  async numbers_and_base64_are_the_same() {
    const coded = await client.embeddings.create({ model, input });
    const plain = await client.embeddings.create({ model, input, encoding_format: "float" });
    const written = await client.embeddings.create({ model, input, encoding_format: "base64" });
    assert.equal(typeof written.data[0].embedding, "string");
    for (const at of [0, 1]) {
      const single = plain.data[at].embedding.map(Math.fround);
      coded.data[at].embedding.forEach((number, place) => {
        assert(Math.abs(number - single[place]) < 1e-6);
      });
    }
  },

  async fewer_dimensions() {
    const answer = await client.embeddings.create({ model, input: input[0], dimensions: 16 });
    assert.equal(answer.data[0].embedding.length, 16);
  },

  async token_ids_are_refused() {
    const asked = client.embeddings.create({ model, input: [[1, 2, 3]] });
    await assert.rejects(asked, (error) => {
      assert(error instanceof OpenAI.BadRequestError);
      assert.equal(error.param, "input");
      return true;
    });
  },
};

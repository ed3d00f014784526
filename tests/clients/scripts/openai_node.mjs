// A user of openai-node, who knows nothing but the address.

import assert from "node:assert/strict";
import OpenAI from "openai";
import { zodFunction, zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";

const [, , address] = process.argv;
const client = new OpenAI({ baseURL: `${address}/v1`, apiKey: "none", maxRetries: 0, timeout: 60_000 });
const model = "starter";
const messages = [{ role: "user", content: "Hello! What are you?" }];
const Weather = z.object({
  city: z.enum(["Seoul", "Paris"]),
  degrees: z.number().int().min(-9).max(40),
  rain: z.boolean(),
});
const GetWeather = z.object({ city: z.enum(["Seoul", "Paris"]) });
const tool = zodFunction({ name: "get_weather", parameters: GetWeather });
// For the model whose words are known: it chooses the tool, and the arguments follow.
const cityTool = zodFunction({ name: "get_weather", parameters: z.object({ city: z.literal("Seoul") }) });
const named = { type: "function", function: { name: "get_weather" } };

const CHECKS = {
  async models_are_listed() {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    assert(ids.includes(model), ids.join());
    assert.equal((await client.models.retrieve(model)).id, model);
  },

  async a_whole_answer() {
    const answer = await client.chat.completions.create({ model, messages, max_tokens: 16 });
    assert.equal(answer.object, "chat.completion");
    assert.equal(answer.choices[0].message.role, "assistant");
    assert(answer.choices[0].message.content);
    assert(answer._request_id);
    const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
  },

  async a_stream() {
    const options = { model, messages, max_tokens: 16, temperature: 0 };
    const whole = await client.chat.completions.create(options);
    const stream = await client.chat.completions.create({
      ...options,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(usage.total_tokens, whole.usage.total_tokens);
  },

  async the_stream_helper() {
    const runner = client.chat.completions.stream({ model, messages, max_tokens: 400, temperature: 0 });
    let text = "";
    runner.on("content", (delta) => (text += delta));
    const final = await runner.finalChatCompletion();
    assert.equal(text, final.choices[0].message.content);
    assert(["stop", "length"].includes(final.choices[0].finish_reason));
  },

  async the_parse_helper() {
    const answer = await client.chat.completions.parse({
      model,
      messages,
      max_tokens: 200,
      response_format: zodResponseFormat(Weather, "weather"),
    });
    Weather.parse(answer.choices[0].message.parsed);
  },

  async the_stream_helper_with_a_schema() {
    const runner = client.chat.completions.stream({
      model,
      messages,
      max_tokens: 200,
      response_format: zodResponseFormat(Weather, "weather"),
    });
    const final = await runner.finalChatCompletion();
    Weather.parse(final.choices[0].message.parsed);
  },

  async a_tool_that_is_named() {
    const answer = await client.chat.completions.parse({
      model,
      messages,
      max_tokens: 200,
      tools: [tool],
      tool_choice: named,
    });
    const [call] = answer.choices[0].message.tool_calls;
    assert.equal(call.type, "function");
    GetWeather.parse(call.function.parsed_arguments);
  },

  async a_tool_in_the_stream_helper() {
    const runner = client.chat.completions.stream({
      model,
      messages,
      max_tokens: 200,
      tools: [tool],
      tool_choice: named,
    });
    const done = [];
    runner.on("tool_calls.function.arguments.done", (event) => done.push(event));
    const final = await runner.finalChatCompletion();
    assert.equal(done.length, 1);
    assert.equal(done[0].name, "get_weather");
    GetWeather.parse(JSON.parse(final.choices[0].message.tool_calls[0].function.arguments));
  },

  async the_helper_that_runs_tools() {
    const asked = [];
    const weather = {
      type: "function",
      function: {
        name: "get_weather",
        parameters: z.toJSONSchema(GetWeather),
        parse: JSON.parse,
        function: (given) => asked.push(given) && "21 degrees",
      },
    };
    // "required" in every turn: the model calls until the helper ends it.
    const runner = client.chat.completions.runTools(
      { model, messages, max_tokens: 200, tools: [weather], tool_choice: "required", parallel_tool_calls: false },
      { maxChatCompletions: 2 },
    );
    await runner.done();
    assert.equal(asked.length, 2);
    asked.forEach((given) => GetWeather.parse(given));
  },

  async thinking_and_a_tool_that_the_model_chooses() {
    const runner = client.chat.completions.stream({
      model: "caller",
      messages,
      temperature: 0,
      tools: [cityTool],
    });
    let thinking = "";
    runner.on("chunk", (chunk) => (thinking += chunk.choices[0]?.delta?.reasoning_content ?? ""));
    const { message, finish_reason } = (await runner.finalChatCompletion()).choices[0];
    assert.equal(thinking.trim(), "They ask for the weather.");
    assert.equal(message.content.trim(), "Let me look.");
    assert.equal(finish_reason, "tool_calls");
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Seoul" });
  },

  async several_answers() {
    const answer = await client.chat.completions.create({ model, messages, n: 3, max_tokens: 8 });
    assert.deepEqual(answer.choices.map((choice) => choice.index), [0, 1, 2]);
  },

  async an_unknown_model_is_not_found() {
    await assert.rejects(
      client.chat.completions.create({ model: "no-such-model", messages }),
      (error) =>
        error instanceof OpenAI.NotFoundError && error.code === "model_not_found" && !!error.requestID,
    );
  },

  async a_stream_may_be_left() {
    const stream = await client.chat.completions.create({ model, messages, max_tokens: 200, stream: true });
    for await (const _ of stream) break;
    assert(stream.controller.signal.aborted);
    await CHECKS.a_whole_answer();
  },
};

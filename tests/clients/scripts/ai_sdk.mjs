// A user of Vercel's AI SDK with its provider for compatible servers.

import assert from "node:assert/strict";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError,
  generateObject,
  generateText,
  isStepCount,
  Output,
  streamObject,
  streamText,
  tool,
} from "ai";
import { z } from "zod";

const [, , address] = process.argv;
const provider = createOpenAICompatible({
  name: "ours",
  baseURL: `${address}/v1`,
  apiKey: "none",
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const model = provider("starter");
const prompt = "Hello! What are you?";
const asked = { model, prompt, maxRetries: 0, maxOutputTokens: 200 };
const Weather = z.object({
  city: z.enum(["Seoul", "Paris"]),
  degrees: z.number().int().min(-9).max(40),
  rain: z.boolean(),
});
const weather = tool({
  description: "Get the weather of a city.",
  inputSchema: z.object({ city: z.enum(["Seoul", "Paris"]) }),
  execute: async ({ city }) => `21 degrees in ${city}`,
});
// For the model whose words are known: it chooses the tool, and the arguments follow.
const get_weather = tool({ ...weather, inputSchema: z.object({ city: z.literal("Seoul") }) });
const named = { type: "tool", toolName: "weather" };
const red =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";

const CHECKS = {
  async generate_text() {
    const { text, usage, finishReason, response } = await generateText({ ...asked, system: "Be brief." });
    assert(text);
    assert(["stop", "length"].includes(finishReason), finishReason);
    assert.equal(usage.totalTokens, usage.inputTokens + usage.outputTokens);
    assert.equal(response.modelId, "starter");
  },

  async stream_text() {
    const options = { ...asked, temperature: 0, maxOutputTokens: 16 };
    const whole = await generateText(options);
    const result = streamText({ ...options, onError: raised });
    let text = "";
    for await (const delta of result.textStream) text += delta;
    assert.equal(text, whole.text);
    assert.equal((await result.usage).outputTokens, whole.usage.outputTokens);
    assert.equal(await result.finishReason, whole.finishReason);
  },

  async generate_object() {
    const { object } = await generateObject({ ...asked, schema: Weather });
    Weather.parse(object);
  },

  async generate_object_without_a_schema() {
    const loose = createOpenAICompatible({ name: "ours", baseURL: `${address}/v1` })("starter");
    // The schema is in the text only, as for servers that know no more than json_object.
    const { object } = await generateObject({ ...asked, model: loose, output: "no-schema" }).catch(cut);
    assert.equal(typeof object, "object");
  },

  async stream_object() {
    const result = streamObject({ ...asked, schema: Weather, onError: raised });
    let parts = 0;
    for await (const _ of result.partialObjectStream) parts += 1;
    Weather.parse(await result.object);
    assert(parts > 0);
  },

  async text_with_an_output() {
    const result = await generateText({ ...asked, output: Output.object({ schema: Weather }) });
    Weather.parse(result.output);
  },

  async a_tool_that_is_named() {
    const result = await generateText({ ...asked, tools: { weather }, toolChoice: named });
    assert.equal(result.toolCalls.length, 1);
    assert(["Seoul", "Paris"].includes(result.toolCalls[0].input.city));
    assert.match(result.toolResults[0].output, /21 degrees/);
  },

  async a_tool_in_a_stream() {
    const result = streamText({ ...asked, tools: { weather }, toolChoice: named, onError: raised });
    const kinds = [];
    for await (const part of result.fullStream) kinds.push(part.type);
    for (const kind of ["tool-input-start", "tool-input-delta", "tool-call", "tool-result"])
      assert(kinds.includes(kind), `${kind} is not in ${kinds}`);
    const [call] = await result.toolCalls;
    assert(["Seoul", "Paris"].includes(call.input.city));
  },

  async tools_step_by_step() {
    const result = await generateText({
      ...asked,
      tools: { weather },
      stopWhen: isStepCount(2),
      prepareStep: ({ stepNumber }) => ({ toolChoice: stepNumber ? "none" : "required" }),
    });
    assert.equal(result.steps.length, 2);
    assert.equal(result.steps[0].finishReason, "tool-calls");
    assert(result.text);
  },

  async thinking_and_a_tool_that_the_model_chooses() {
    const options = { ...asked, model: provider("caller"), tools: { get_weather }, temperature: 0 };
    const whole = await generateText(options);
    assert.equal(whole.reasoningText.trim(), "They ask for the weather.");
    assert.equal(whole.text.trim(), "Let me look.");
    assert.deepEqual(whole.toolCalls[0].input, { city: "Seoul" });
    const result = streamText({ ...options, onError: raised });
    const kinds = [];
    for await (const part of result.fullStream) kinds.push(part.type);
    for (const kind of ["reasoning-delta", "text-delta", "tool-call", "tool-result"])
      assert(kinds.includes(kind), `${kind} is not in ${kinds}`);
    assert.equal(await result.reasoningText, whole.reasoningText);
  },

  async a_picture() {
    const content = [
      { type: "text", text: "What is it?" },
      { type: "image", image: red, mediaType: "image/png" },
    ];
    const messages = [{ role: "user", content }];
    const { text } = await generateText({
      model: provider("starter-vision"),
      messages,
      maxRetries: 0,
      maxOutputTokens: 8,
    });
    assert(text);
  },

  async an_error_is_told() {
    const options = { model: provider("no-such-model"), prompt, maxRetries: 0 };
    await assert.rejects(generateText(options), (error) => {
      assert(APICallError.isInstance(error), String(error));
      assert.equal(error.statusCode, 404);
      assert.equal(error.data.error.code, "model_not_found");
      return !error.isRetryable;
    });
  },

  async a_stream_may_be_left() {
    const controller = new AbortController();
    const result = streamText({ ...asked, abortSignal: controller.signal, onError() {} });
    for await (const _ of result.textStream) break;
    controller.abort();
    await CHECKS.generate_text();
  },
};

function raised({ error }) {
  console.error(error);
}

function cut(error) {
  if (error.finishReason === "length") return { object: {} };
  throw error;
}

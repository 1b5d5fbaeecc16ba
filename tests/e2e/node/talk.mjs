// The official Node client on one base URL: says what came back, as one JSON object. Knows no gateway.
// usage: node talk.mjs BASE_URL KEY MODEL [HEADER=VALUE ...]
import OpenAI from "openai";

const [baseURL, apiKey, model, ...named] = process.argv.slice(2);
const defaultHeaders = Object.fromEntries(named.map((pair) => pair.split("=")));
const client = new OpenAI({ baseURL, apiKey, defaultHeaders, maxRetries: 0 });
const messages = [{ role: "user", content: "My brother Olaf carves wooden birds in Tromsø." }];
const weather = { type: "function", function: { name: "weather", parameters: { type: "object", properties: {} } } };

async function refusal(request) {
  try {
    await request();
    return null;
  } catch (error) {
    return [error.constructor.name, error.status, error.error?.message ?? null];
  }
}

const whole = await client.chat.completions.create({ model, messages });

let streamed = "";
let usage = null;
for await (const chunk of await client.chat.completions.create({
  model, messages, stream: true, stream_options: { include_usage: true },
})) {
  streamed += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}

const helper = client.chat.completions.stream({ model, messages, tools: [weather] });
const final = await helper.finalChatCompletion();

const models = [];
for await (const one of client.models.list()) models.push(one.id);

const embedding = await client.embeddings.create({ model, input: "birds", encoding_format: "float" });
const legacy = await client.completions.create({ model, prompt: "My brother carves" });
const response = await client.responses.create({ model, input: "Hello" });

console.log(JSON.stringify({
  whole: whole.choices[0].message.content,
  streamed,
  usage,
  calls: final.choices[0].message.tool_calls.map((call) => [call.id, call.function.name, call.function.arguments]),
  models,
  embedding: embedding.data[0].embedding,
  legacy: legacy.choices[0].text,
  response: response.output_text,
  refused: await refusal(() => client.chat.completions.create({ model: "error-429", messages })),
  missing: await refusal(() => client.chat.completions.create({ model: "error-404", messages })),
}));

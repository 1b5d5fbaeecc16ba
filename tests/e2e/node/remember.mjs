// A plain Node loop over a memory: asks one question in a conversation of its own and prints the answer's headers.
// usage: node remember.mjs BASE_URL KEY MODEL USER QUESTION
import OpenAI from "openai";

const [baseURL, apiKey, model, user, question] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 });
const asked = client.chat.completions.create({
  model, user, messages: [{ role: "user", content: question }], memory: { tokens: 500 },
});
const { response } = await asked.withResponse();
const told = [...response.headers].filter(([name]) => name.startsWith("x-mneme-"));
console.log(JSON.stringify(Object.fromEntries(told)));

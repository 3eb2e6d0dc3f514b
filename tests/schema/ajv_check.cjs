// Judges answers with Ajv: one request a line, {"schema", "draft7", "answers": [texts]}, one reply a
// line, {"valid": [true, ...]} or {"error": "why the schema was not compiled"}.
// The packages are looked for in the folder that is the argument.
// SPDX-License-Identifier: MIT
const path = require('path');
const load = name => require(require.resolve(name, {paths: [path.resolve(process.argv[2])]}));
const Ajv7 = load('ajv').default, Ajv2020 = load('ajv/dist/2020').default;
const addFormats = load('ajv-formats').default;

function judge(request) {
  const ajv = new (request.draft7 ? Ajv7 : Ajv2020)({strict: false, logger: false, ownProperties: true});
  addFormats(ajv);
  let validate;
  try {
    validate = ajv.compile(request.schema);
  } catch (error) {
    return {error: String(error.message).slice(0, 200)};
  }
  return {valid: request.answers.map(text => validate(JSON.parse(text)))};
}

const lines = require('fs').readFileSync(0, 'utf8').split('\n').filter(line => line);
process.stdout.write(lines.map(line => JSON.stringify(judge(JSON.parse(line))) + '\n').join(''));

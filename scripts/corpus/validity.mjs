// validity.mjs SDK FILE...: one line of JSON for each file.
import fs from "fs";
const [sdk, ...files] = process.argv.slice(2);
const validate = (await import(sdk)).default;
let all = "";
for (const file of files) {
  const kind = /\.xl\w+$/i.test(file) ? "xlsx" : /\.p[po]\w+$/i.test(file) ? "pptx" : "docx";
  let faults = [], error = "";
  try {
    faults = await validate(fs.readFileSync(file), kind, "Microsoft365");
  } catch (e) {
    error = String(e).slice(0, 300);
  }
  all += JSON.stringify({ file, error, faults }) + "\n";
}
process.stdout.write(all, () => process.exit(0)); // not before all of it is read

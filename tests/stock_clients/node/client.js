// A client of TensorFlow Serving in Node: one call of each kind, and a line for each answer.
'use strict';

const fs = require('node:fs');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const [target, descriptors] = process.argv.slice(2);
const definition = loader.loadFileDescriptorSetFromBuffer(fs.readFileSync(descriptors), {
  keepCase: true, enums: String, longs: String, defaults: true, oneofs: true,
});
const { serving } = grpc.loadPackageDefinition(definition).tensorflow;
const credentials = grpc.credentials.createInsecure();
const predictions = new serving.PredictionService(target, credentials);
const models = new serving.ModelService(target, credentials);

function call(client, method, request) {
  return new Promise((resolve, reject) => {
    const deadline = Date.now() + 30000;
    client[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const fixed = (value) => value.toFixed(1);
// proto-loader takes the maps of descriptors for what they are on the wire: lists of entries.
const entry = (map, key) => map.find((one) => one.key === key).value;
const input = {
  example_list: {
    examples: [{
      features: {
        feature: [
          { key: 'x', value: { float_list: { value: [3] } } },
          { key: 'word', value: { bytes_list: { value: [Buffer.from('a')] } } },
        ],
      },
    }],
  },
};

async function main() {
  const predicted = await call(predictions, 'Predict', {
    model_spec: { name: 'half_plus_two', version: { value: 1 } },
    inputs: [{
      key: 'x',
      value: { dtype: 'DT_FLOAT', tensor_shape: { dim: [{ size: 3 }] }, float_val: [1, 2, 5] },
    }],
  });
  const y = entry(predicted.outputs, 'y');
  const by = predicted.model_spec;
  console.log(`predict: ${y.float_val.map(fixed).join(' ')} shape ${y.tensor_shape.dim[0].size}`
    + ` by ${by.name} ${by.version.value} ${by.signature_name}`);

  const told = await call(predictions, 'GetModelMetadata', {
    model_spec: { name: 'half_plus_two' }, metadata_field: ['signature_def'],
  });
  const map = definition['tensorflow.serving.SignatureDefMap'];
  const signatures = map.deserialize(entry(told.metadata, 'signature_def').value).signature_def;
  const found = entry(signatures, 'serving_default');
  const types = [entry(found.inputs, 'x').dtype, entry(found.outputs, 'y').dtype];
  console.log(`metadata: x ${types[0]} y ${types[1]} ${found.method_name}`);

  const state = await call(models, 'GetModelStatus', { model_spec: { name: 'half_plus_two' } });
  const versions = state.model_version_status.map(
    (version) => `${version.version} ${version.state} ${version.status.error_code === 'OK' ? 0 : version.status.error_code}`,
  );
  console.log(`status: ${versions.sort().join(', ')}`);

  const classified = await call(predictions, 'Classify', {
    model_spec: { name: 'heads', signature_name: 'serving_default' }, input,
  });
  const { classes } = classified.result.classifications[0];
  console.log(`classify: ${classes.map((one) => `${one.label} ${fixed(one.score)}`).join(', ')}`);

  const regressed = await call(predictions, 'Regress', {
    model_spec: { name: 'heads', signature_name: 'regress' }, input,
  });
  console.log(`regress: ${fixed(regressed.result.regressions[0].value)}`);

  await call(predictions, 'Predict', { model_spec: { name: 'nothing' } }).catch((error) => {
    console.log(`error: ${error.code} ${error.details}`);
  });
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
}).finally(() => {
  predictions.close();
  models.close();
});

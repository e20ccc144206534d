import com.google.protobuf.ByteString;
import com.google.protobuf.Int64Value;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.tensorflow.example.BytesList;
import org.tensorflow.example.Example;
import org.tensorflow.example.Feature;
import org.tensorflow.example.Features;
import org.tensorflow.example.FloatList;
import org.tensorflow.framework.DataType;
import org.tensorflow.framework.TensorProto;
import org.tensorflow.framework.TensorShapeProto;
import tensorflow.serving.Classification.ClassificationRequest;
import tensorflow.serving.GetModelMetadata.GetModelMetadataRequest;
import tensorflow.serving.GetModelMetadata.SignatureDefMap;
import tensorflow.serving.GetModelStatus.GetModelStatusRequest;
import tensorflow.serving.InputOuterClass.ExampleList;
import tensorflow.serving.InputOuterClass.Input;
import tensorflow.serving.Model.ModelSpec;
import tensorflow.serving.ModelServiceGrpc;
import tensorflow.serving.Predict.PredictRequest;
import tensorflow.serving.PredictionServiceGrpc;
import tensorflow.serving.PredictionServiceGrpc.PredictionServiceBlockingStub;
import tensorflow.serving.RegressionOuterClass.RegressionRequest;

/** A client of TensorFlow Serving in Java: one call of each kind, and a line for each answer. */
final class Client {
  private final PredictionServiceBlockingStub predictions;
  private final ModelServiceGrpc.ModelServiceBlockingStub models;

  private Client(ManagedChannel channel) {
    predictions = PredictionServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(30, TimeUnit.SECONDS);
    models = ModelServiceGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
  }

  public static void main(String[] arguments) throws Exception {
    ManagedChannel channel =
        Grpc.newChannelBuilder(arguments[0], InsecureChannelCredentials.create()).build();
    try {
      Client client = new Client(channel);
      client.predict();
      client.metadata();
      client.status();
      client.classify();
      client.regress();
      client.error();
    } finally {
      channel.shutdownNow().awaitTermination(5, TimeUnit.SECONDS);
    }
  }

  private void predict() {
    var size = TensorShapeProto.Dim.newBuilder().setSize(3);
    var x = TensorProto.newBuilder()
        .setDtype(DataType.DT_FLOAT)
        .setTensorShape(TensorShapeProto.newBuilder().addDim(size))
        .addFloatVal(1).addFloatVal(2).addFloatVal(5)
        .build();
    var wanted = spec("half_plus_two", "").setVersion(Int64Value.of(1));
    var answer = predictions.predict(
        PredictRequest.newBuilder().setModelSpec(wanted).putInputs("x", x).build());
    var y = answer.getOutputsOrThrow("y");
    var by = answer.getModelSpec();
    String numbers =
        y.getFloatValList().stream().map(Client::fixed).collect(Collectors.joining(" "));
    System.out.printf("predict: %s shape %d by %s %d %s%n", numbers,
        y.getTensorShape().getDim(0).getSize(), by.getName(), by.getVersion().getValue(),
        by.getSignatureName());
  }

  private void metadata() throws Exception {
    var answer = predictions.getModelMetadata(GetModelMetadataRequest.newBuilder()
        .setModelSpec(spec("half_plus_two", "")).addMetadataField("signature_def").build());
    var signature = answer.getMetadataOrThrow("signature_def").unpack(SignatureDefMap.class)
        .getSignatureDefOrThrow("serving_default");
    System.out.printf("metadata: x %s y %s %s%n", signature.getInputsOrThrow("x").getDtype(),
        signature.getOutputsOrThrow("y").getDtype(), signature.getMethodName());
  }

  private void status() {
    var answer = models.getModelStatus(
        GetModelStatusRequest.newBuilder().setModelSpec(spec("half_plus_two", "")).build());
    System.out.println("status: " + answer.getModelVersionStatusList().stream()
        .map(told -> told.getVersion() + " " + told.getState() + " "
            + told.getStatus().getErrorCode().getNumber())
        .sorted().collect(Collectors.joining(", ")));
  }

  private void classify() {
    var answer = predictions.classify(ClassificationRequest.newBuilder()
        .setModelSpec(spec("heads", "serving_default")).setInput(input()).build());
    var found = answer.getResult().getClassifications(0).getClassesList();
    System.out.println("classify: " + found.stream()
        .map(told -> told.getLabel() + " " + fixed(told.getScore()))
        .collect(Collectors.joining(", ")));
  }

  private void regress() {
    var answer = predictions.regress(RegressionRequest.newBuilder()
        .setModelSpec(spec("heads", "regress")).setInput(input()).build());
    System.out.println("regress: " + fixed(answer.getResult().getRegressions(0).getValue()));
  }

  private void error() {
    try {
      predictions.predict(PredictRequest.newBuilder().setModelSpec(spec("nothing", "")).build());
    } catch (StatusRuntimeException error) {
      var status = error.getStatus();
      System.out.println("error: " + status.getCode().value() + " " + status.getDescription());
    }
  }

  /** The features x, a number, and word, a text. */
  private static Input input() {
    var x = Feature.newBuilder().setFloatList(FloatList.newBuilder().addValue(3)).build();
    var word = Feature.newBuilder()
        .setBytesList(BytesList.newBuilder().addValue(ByteString.copyFromUtf8("a"))).build();
    var features = Features.newBuilder().putFeature("x", x).putFeature("word", word);
    var examples = ExampleList.newBuilder().addExamples(Example.newBuilder().setFeatures(features));
    return Input.newBuilder().setExampleList(examples).build();
  }

  private static ModelSpec.Builder spec(String model, String signature) {
    return ModelSpec.newBuilder().setName(model).setSignatureName(signature);
  }

  private static String fixed(float value) {
    return String.format(Locale.ROOT, "%.1f", value);
  }
}

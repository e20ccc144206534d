// A client of TensorFlow Serving in Go: one call of each kind, and a line for each answer.
package main

import (
	"context"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"modeldeploy.io/tests/stock_clients/go/stubs/serving"
	"modeldeploy.io/tests/stock_clients/go/stubs/tensorflow"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(err)
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	predictions := serving.NewPredictionServiceClient(connection)
	models := serving.NewModelServiceClient(connection)
	predict(ctx, predictions)
	metadata(ctx, predictions)
	states(ctx, models)
	classify(ctx, predictions)
	regress(ctx, predictions)
	_, err = predictions.Predict(ctx, &serving.PredictRequest{ModelSpec: spec("nothing", "")})
	fmt.Printf("error: %d %s\n", status.Code(err), status.Convert(err).Message())
}

func predict(ctx context.Context, client serving.PredictionServiceClient) {
	wanted := spec("half_plus_two", "")
	wanted.VersionChoice = &serving.ModelSpec_Version{Version: wrapperspb.Int64(1)}
	x := &tensorflow.TensorProto{
		Dtype:       tensorflow.DataType_DT_FLOAT,
		TensorShape: &tensorflow.TensorShapeProto{Dim: []*tensorflow.TensorShapeProto_Dim{{Size: 3}}},
		FloatVal:    []float32{1, 2, 5},
	}
	request := &serving.PredictRequest{ModelSpec: wanted, Inputs: map[string]*tensorflow.TensorProto{"x": x}}
	answer, err := client.Predict(ctx, request)
	check(err)
	by := answer.ModelSpec
	y := answer.Outputs["y"]
	fmt.Printf("predict: %s shape %d by %s %d %s\n", numbers(y.FloatVal), y.TensorShape.Dim[0].Size,
		by.Name, by.GetVersion().Value, by.SignatureName)
}

func metadata(ctx context.Context, client serving.PredictionServiceClient) {
	request := &serving.GetModelMetadataRequest{
		ModelSpec: spec("half_plus_two", ""), MetadataField: []string{"signature_def"}}
	answer, err := client.GetModelMetadata(ctx, request)
	check(err)
	var found serving.SignatureDefMap
	check(answer.Metadata["signature_def"].UnmarshalTo(&found))
	signature := found.SignatureDef["serving_default"]
	fmt.Printf("metadata: x %s y %s %s\n", signature.Inputs["x"].Dtype, signature.Outputs["y"].Dtype,
		signature.MethodName)
}

func states(ctx context.Context, client serving.ModelServiceClient) {
	answer, err := client.GetModelStatus(ctx, &serving.GetModelStatusRequest{ModelSpec: spec("half_plus_two", "")})
	check(err)
	var found []string
	for _, version := range answer.ModelVersionStatus {
		found = append(found, fmt.Sprintf("%d %s %d", version.Version, version.State, int32(version.Status.ErrorCode)))
	}
	sort.Strings(found)
	fmt.Println("status: " + strings.Join(found, ", "))
}

func classify(ctx context.Context, client serving.PredictionServiceClient) {
	request := &serving.ClassificationRequest{ModelSpec: spec("heads", "serving_default"), Input: input()}
	answer, err := client.Classify(ctx, request)
	check(err)
	var found []string
	for _, class := range answer.Result.Classifications[0].Classes {
		found = append(found, fmt.Sprintf("%s %.1f", class.Label, class.Score))
	}
	fmt.Println("classify: " + strings.Join(found, ", "))
}

func regress(ctx context.Context, client serving.PredictionServiceClient) {
	request := &serving.RegressionRequest{ModelSpec: spec("heads", "regress"), Input: input()}
	answer, err := client.Regress(ctx, request)
	check(err)
	fmt.Printf("regress: %.1f\n", answer.Result.Regressions[0].Value)
}

// The features x, a number, and word, a text.
func input() *serving.Input {
	x := &tensorflow.Feature{Kind: &tensorflow.Feature_FloatList{FloatList: &tensorflow.FloatList{Value: []float32{3}}}}
	word := &tensorflow.Feature{Kind: &tensorflow.Feature_BytesList{BytesList: &tensorflow.BytesList{Value: [][]byte{[]byte("a")}}}}
	example := &tensorflow.Example{
		Features: &tensorflow.Features{Feature: map[string]*tensorflow.Feature{"x": x, "word": word}}}
	list := &serving.ExampleList{Examples: []*tensorflow.Example{example}}
	return &serving.Input{Kind: &serving.Input_ExampleList{ExampleList: list}}
}

func spec(model, signature string) *serving.ModelSpec {
	return &serving.ModelSpec{Name: model, SignatureName: signature}
}

func numbers(values []float32) string {
	var found []string
	for _, value := range values {
		found = append(found, fmt.Sprintf("%.1f", value))
	}
	return strings.Join(found, " ")
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

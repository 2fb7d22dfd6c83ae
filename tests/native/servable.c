/* Runs a SavedModel through TensorFlow's C API, which loads it as a model server does: no Python, no code of ours.

   servable MODEL REQUEST ANSWER

   REQUEST holds requests one after another, ANSWER gets the answers in the same order. All numbers are in the
   machine's order of bytes.

     request   u32 number of inputs, the inputs, u32 number of outputs, the outputs
     input     name, u32 type, u32 rank, i64 sizes, data
     output    name
     answer    of each output: u32 type, u32 rank, i64 sizes, data
     name      u32 length, bytes ("serving_default_lengths:0" without ":0", then u32 index)
     data      u64 number of bytes, bytes; of strings: of each string u64 length, bytes */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

enum { MOST = 16 };

static void fail(const char* what) {
  fprintf(stderr, "servable: %s\n", what);
  exit(1);
}

static void require_ok(TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) fail(TF_Message(status));
}

static int read_exactly(FILE* file, void* to, size_t size) { return fread(to, 1, size, file) == size; }

static uint32_t read_u32(FILE* file) {
  uint32_t value;
  if (!read_exactly(file, &value, sizeof value)) fail("the request is cut off");
  return value;
}

static uint64_t read_u64(FILE* file) {
  uint64_t value;
  if (!read_exactly(file, &value, sizeof value)) fail("the request is cut off");
  return value;
}

static TF_Output read_name(FILE* file, TF_Graph* graph) {
  char name[1024];
  uint32_t length = read_u32(file);
  if (length >= sizeof name || !read_exactly(file, name, length)) fail("a name is cut off");
  name[length] = 0;
  TF_Output output = {TF_GraphOperationByName(graph, name), (int)read_u32(file)};
  if (output.oper == NULL) fail(name);
  return output;
}

static TF_Tensor* read_tensor(FILE* file) {
  TF_DataType type = (TF_DataType)read_u32(file);
  uint32_t rank = read_u32(file);
  int64_t sizes[8], count = 1;
  if (rank > 8 || !read_exactly(file, sizes, rank * sizeof *sizes)) fail("the sizes of a tensor are cut off");
  for (uint32_t axis = 0; axis < rank; ++axis) count *= sizes[axis];
  if (type == TF_STRING) {
    TF_Tensor* tensor = TF_AllocateTensor(type, sizes, (int)rank, (size_t)count * sizeof(TF_TString));
    TF_TString* strings = TF_TensorData(tensor);
    for (int64_t i = 0; i < count; ++i) {
      uint64_t length = read_u64(file);
      char* bytes = malloc(length + 1);
      if (!read_exactly(file, bytes, length)) fail("a string is cut off");
      TF_StringInit(&strings[i]);
      TF_StringCopy(&strings[i], bytes, length);
      free(bytes);
    }
    return tensor;
  }
  uint64_t size = read_u64(file);
  TF_Tensor* tensor = TF_AllocateTensor(type, sizes, (int)rank, size);
  if (!read_exactly(file, TF_TensorData(tensor), size)) fail("a tensor is cut off");
  return tensor;
}

static void write_u32(FILE* file, uint32_t value) { fwrite(&value, sizeof value, 1, file); }

static void write_u64(FILE* file, uint64_t value) { fwrite(&value, sizeof value, 1, file); }

static void write_tensor(FILE* file, TF_Tensor* tensor) {
  write_u32(file, TF_TensorType(tensor));
  write_u32(file, (uint32_t)TF_NumDims(tensor));
  for (int axis = 0; axis < TF_NumDims(tensor); ++axis) write_u64(file, (uint64_t)TF_Dim(tensor, axis));
  if (TF_TensorType(tensor) == TF_STRING) {
    TF_TString* strings = TF_TensorData(tensor);
    for (int64_t i = 0; i < TF_TensorElementCount(tensor); ++i) {
      write_u64(file, TF_StringGetSize(&strings[i]));
      fwrite(TF_StringGetDataPointer(&strings[i]), 1, TF_StringGetSize(&strings[i]), file);
    }
    return;
  }
  write_u64(file, TF_TensorByteSize(tensor));
  fwrite(TF_TensorData(tensor), 1, TF_TensorByteSize(tensor), file);
}

static void answer(FILE* request, uint32_t num_inputs, FILE* to, TF_Session* session, TF_Graph* graph,
                   TF_Status* status) {
  TF_Output inputs[MOST], outputs[MOST];
  TF_Tensor *values[MOST], *answers[MOST];
  if (num_inputs > MOST) fail("there are too many inputs");
  for (uint32_t i = 0; i < num_inputs; ++i) {
    inputs[i] = read_name(request, graph);
    values[i] = read_tensor(request);
  }
  uint32_t num_outputs = read_u32(request);
  if (num_outputs > MOST) fail("there are too many outputs");
  for (uint32_t i = 0; i < num_outputs; ++i) outputs[i] = read_name(request, graph);
  TF_SessionRun(session, NULL, inputs, values, (int)num_inputs, outputs, answers, (int)num_outputs, NULL, 0, NULL,
                status);
  require_ok(status);
  for (uint32_t i = 0; i < num_outputs; ++i) {
    write_tensor(to, answers[i]);
    TF_DeleteTensor(answers[i]);
  }
  for (uint32_t i = 0; i < num_inputs; ++i) TF_DeleteTensor(values[i]);
}

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: servable MODEL REQUEST ANSWER");
  TF_Status* status = TF_NewStatus();
  TF_Graph* graph = TF_NewGraph();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  TF_Session* session = TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  require_ok(status);
  FILE *request = fopen(argv[2], "rb"), *to = fopen(argv[3], "wb");
  if (request == NULL || to == NULL) fail("a file cannot be opened");
  uint32_t num_inputs;
  while (read_exactly(request, &num_inputs, sizeof num_inputs)) answer(request, num_inputs, to, session, graph, status);
  fclose(request);
  if (fclose(to) != 0) fail("the answer cannot be written");
  TF_CloseSession(session, status);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(options);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}

/* Runs SavedModels through TensorFlow's C API, which loads them as a model server does: no Python, no code of ours.

   native REQUESTS ANSWERS MODEL...

   REQUESTS holds requests one after another, ANSWERS gets the answers in the same order. All numbers are in the
   machine's order of bytes.

     request   u32 number of the model, u32 number of inputs, the inputs, u32 number of outputs, the outputs
     input     name, u32 type, u32 rank, i64 sizes, data; or name, u32 0: the same tensor as in the request before
     output    name
     answer    of each output: u32 type, u32 rank, i64 sizes, data
     name      u32 length, bytes ("serving_default_lengths:0" without ":0", then u32 index)
     data      u64 number of bytes, bytes; of strings: of each string u64 length, bytes

   Standard output gets a line for each model and then for each request: seconds, and seconds of CPU time of all
   threads, that it took to load the model or to answer (TF_SessionRun alone). */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/tf_tstring.h"

enum { MOST = 16 };

typedef struct {
  TF_Graph* graph;
  TF_Session* session;
} Model;

typedef struct {
  double seconds, cpu_seconds;
} Times;

static void fail(const char* what) {
  fprintf(stderr, "native: %s\n", what);
  exit(1);
}

static void require_ok(TF_Status* status) {
  if (TF_GetCode(status) != TF_OK) fail(TF_Message(status));
}

static double seconds_of(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static Times now(void) { return (Times){seconds_of(CLOCK_MONOTONIC), seconds_of(CLOCK_PROCESS_CPUTIME_ID)}; }

static void print_since(Times start) {
  Times end = now();
  printf("%.7f %.7f\n", end.seconds - start.seconds, end.cpu_seconds - start.cpu_seconds);
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

static TF_Tensor* read_tensor(FILE* file, TF_Tensor* before) {
  TF_DataType type = (TF_DataType)read_u32(file);
  if (type == 0) {
    if (before == NULL) fail("there is no tensor of a request before");
    return before;
  }
  if (before != NULL) TF_DeleteTensor(before);
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

static TF_Tensor* values[MOST]; /* of the inputs of the last request */

static void answer(FILE* requests, const Model* model, FILE* to, TF_Status* status) {
  TF_Output inputs[MOST], outputs[MOST];
  TF_Tensor* answers[MOST];
  uint32_t num_inputs = read_u32(requests);
  if (num_inputs > MOST) fail("there are too many inputs");
  for (uint32_t i = 0; i < num_inputs; ++i) {
    inputs[i] = read_name(requests, model->graph);
    values[i] = read_tensor(requests, values[i]);
  }
  uint32_t num_outputs = read_u32(requests);
  if (num_outputs > MOST) fail("there are too many outputs");
  for (uint32_t i = 0; i < num_outputs; ++i) outputs[i] = read_name(requests, model->graph);
  Times start = now();
  TF_SessionRun(model->session, NULL, inputs, values, (int)num_inputs, outputs, answers, (int)num_outputs, NULL, 0,
                NULL, status);
  print_since(start);
  require_ok(status);
  for (uint32_t i = 0; i < num_outputs; ++i) {
    write_tensor(to, answers[i]);
    TF_DeleteTensor(answers[i]);
  }
}

int main(int argc, char** argv) {
  if (argc < 4) fail("usage: native REQUESTS ANSWERS MODEL...");
  TF_Status* status = TF_NewStatus();
  TF_SessionOptions* options = TF_NewSessionOptions();
  const char* tags[] = {"serve"};
  uint32_t num_models = (uint32_t)argc - 3, number;
  Model* models = malloc(num_models * sizeof *models);
  for (uint32_t i = 0; i < num_models; ++i) {
    models[i].graph = TF_NewGraph();
    Times start = now();
    models[i].session =
        TF_LoadSessionFromSavedModel(options, NULL, argv[3 + i], tags, 1, models[i].graph, NULL, status);
    require_ok(status);
    print_since(start);
  }
  FILE *requests = fopen(argv[1], "rb"), *to = fopen(argv[2], "wb");
  if (requests == NULL || to == NULL) fail("a file cannot be opened");
  while (read_exactly(requests, &number, sizeof number)) {
    if (number >= num_models) fail("a request is to a model that is not there");
    answer(requests, &models[number], to, status);
  }
  fclose(requests);
  if (fclose(to) != 0) fail("the answers cannot be written");
  for (uint32_t i = 0; i < MOST; ++i) {
    if (values[i] != NULL) TF_DeleteTensor(values[i]);
  }
  for (uint32_t i = 0; i < num_models; ++i) {
    TF_CloseSession(models[i].session, status);
    TF_DeleteSession(models[i].session, status);
    TF_DeleteGraph(models[i].graph);
  }
  free(models);
  TF_DeleteSessionOptions(options);
  TF_DeleteStatus(status);
  return 0;
}

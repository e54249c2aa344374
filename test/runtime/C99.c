/* The public header is plain C99 and needs nothing before it. */
#include "runtime/moert.h"

int usableFromC99(void);

int usableFromC99(void) {
  moert_error error;
  moert_module *module;
  moert_options options = {0};
  moert_type type = {0};
  moert_status status =
      moert_module_open("/nonexistent/model.so", &module, &error);
  options.threads = 1;
  return status == MOERT_IO && module == NULL && error.status == MOERT_IO &&
         error.message[0] == '/' && type.rank == 0 && options.threads == 1 &&
         moert_dtype_bytes(MOERT_BF16) == 2;
}

#include "a.h"
// TODO: write it

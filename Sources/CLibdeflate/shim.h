#ifndef AITBC_CLIBDEFLATE_SHIM_H
#define AITBC_CLIBDEFLATE_SHIM_H

#include <libdeflate.h>

#endif

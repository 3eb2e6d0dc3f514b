/* JSON schemas: which texts they allow, and what is refused with which words. Schemas and texts are
 * written with ' in place of ". Schemas that people write, and the official suite, are in
 * tests/schema.
 *
 * SPDX-License-Identifier: MIT
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "unit/support_grammar.h"

#include "grammar/schema.h"

static char *quoted(const char *text, char *out, size_t cap) {
    snprintf(out, cap, "%s", text);
    for (char *c = out; *c; c++)
        if (*c == '\'') *c = '"';
    return out;
}

static pd_status make(const char *schema, pd_automaton **out, pd_error *err) {
    char text[8192];
    pd_rules r = {0};
    pd_node root = 0;
    quoted(schema, text, sizeof text);
    pd_status status = pd_schema_parse(&r, text, strlen(text), &root, err);
    if (status == PD_OK) status = pd_automaton_create(&r, root, out, err);
    pd_rules_free(&r);
    return status;
}

/* Texts with '+' are accepted, with '~' the beginning of something, with '-' neither. */
typedef struct schema_case {
    const char *schema;
    const char *texts[16];
} schema_case;

static void check_all(const schema_case *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        pd_automaton *a;
        pd_error err;
        char text[1024];
        if (make(cases[i].schema, &a, &err) != PD_OK)
            fail_msg("%s: %s", cases[i].schema, err.message);
        for (const char *const *t = cases[i].texts; *t; t++) {
            grammar_verdict want = **t == '+' ? ACCEPTED : **t == '~' ? BEGINNING : REFUSED;
            if (follow_text(a, quoted(*t + 1, text, sizeof text)) != want)
                fail_msg("%s: %s", cases[i].schema, *t);
        }
        pd_automaton_destroy(a);
    }
}

#define CHECK_ALL(list) check_all((list), sizeof(list) / sizeof *(list))

static void test_kinds(void **state) {
    (void)state;
    static const schema_case cases[] = {
        {"{'type':'null'}", {"+null", "~nul", "-nulll", "-0"}},
        {"{'type':'boolean'}", {"+true", "+false", "-null"}},
        {"{'type':'string'}",
         {"+''", "+'a\\n\\u0000\xc3\xa4'", "~'", "-'\n'", "-'\\x'", "-'\\u0041'", "-'\\/'", "-a"}},
        {"{'type':'integer'}",
         {"+0", "+-1", "+999999999999999", "-1000000000000000", "-00", "-01", "--0", "-1.0", "-1e2",
          "-+1"}},
        {"{'type':'number'}",
         {"+0", "+-0", "+-1.5", "+1e9", "+0.25E-07", "-.5", "~1.", "~1e", "-1e100"}},
        {"{'type':'array'}", {"+[]", "+[ ]", "+[1,null , [{}]]", "-[1,]", "-[,1]", "-{}", "~[1"}},
        {"{'type':'object'}",
         {"+{}", "+{'a':1}", "+{ 'a' : [ ] ,\n  '' : {} }", "-{'a'}", "-{a:1}", "-{'a':1,}",
          "-[]"}},
        {"{'type':['null','boolean']}", {"+null", "+true", "-1"}},
        {"{}", {"+null", "+1.5e3", "+'x'", "+[[1],{'a':[]}]", "+{'a':{'b':true}}", "~", "-x"}},
        {"true", {"+null", "+[1]"}},
        {"{'type':'string','nullable':true}", {"+null", "+'x'", "-1"}},
        {"{'type':'string','nullable':false}", {"-null", "+'x'"}},
        {"{'type':'integer','minLength':9,'items':false,'required':['a'],'pattern':'('}", {"+1"}},
        {"{'minLength':1}", {"+'a'", "-''", "-1"}},
        {"{'minimum':1}", {"+1", "+2.5", "-0", "-'a'"}},
        {"{'minItems':1}", {"+[1]", "-[]", "-1"}},
        {"{'required':['a']}", {"+{'a':1}", "-{}", "-1"}},
        {"{'title':'t','description':'d','default':1,'examples':[1],'example':1,'$comment':'c',"
         "'$schema':'s','$id':'i','deprecated':true,'readOnly':true,'writeOnly':true,"
         "'contentMediaType':'m','contentEncoding':'e','x-a':1,'discriminator':{},'$defs':{},"
         "'definitions':{},'$anchor':'a','contentSchema':{},'nullable':true}",
         {"+1", "+'a'", "+{}"}},
    };
    CHECK_ALL(cases);
}

static void test_objects(void **state) {
    (void)state;
    static const schema_case cases[] = {
        {"{'type':'object','properties':{'a':{'type':'null'},'b':{'type':'null'},'c':{'type':'null'"
         "}},"
         "'required':['b']}",
         {"+{'b':null}", "+{'a':null,'b':null}", "+{'b':null,'c':null}",
          "+{'a':null,'b':null,'c':null}", "-{}", "-{'a':null}", "-{'b':null,'a':null}",
          "-{'b':null,'b':null}", "-{'b':null,}", "-{,'b':null}", "-{'d':null}", "-{'b':1}"}},
        {"{'properties':{'a':{'type':'null'},'b':{'type':'null'}}}",
         {"+{}", "+{ }", "+{'a':null}", "+{'b':null}", "+{'a':null , 'b':null}", "-{'c':null}"}},
        {"{'properties':{'a':{'type':'null'}},'additionalProperties':{'type':'boolean'}}",
         {"+{}", "+{'a':null}", "+{'b':true}", "+{'a':null,'b':true,'c':false}", "+{'':true}",
          "+{'ab':true}", "-{'a':true}", "-{'b':null}", "-{'b':true,'a':null}"}},
        {"{'properties':{'ab':{},'ac':{},'a':{}},'additionalProperties':{'type':'null'}}",
         {"+{'ad':null}", "+{'b':null}", "+{'abc':null}", "+{'a':1}", "+{'\\\\':null}",
          "+{'':null}", "~{'ac'", "~{'ad", "-{'ad':1}"}},
        {"{'properties':{'\\n':{'type':'null'}},'additionalProperties':{'type':'boolean'}}",
         {"+{'\\n':null}", "+{'\\t':true}", "+{'\\n\\n':true}", "-{'\\n':true}"}},
        {"{'type':'object','additionalProperties':false}", {"+{}", "-{'a':1}"}},
        {"{'properties':{'a':{}},'additionalProperties':true}", {"+{'b':1}", "+{'a':1,'b':[]}"}},
        {"{'required':['a','b','a']}", {"+{'a':1,'b':2}", "+{'a':1,'b':2,'c':3}", "-{'a':1}"}},
        {"{'required':['a'],'additionalProperties':{'type':'null'}}",
         {"+{'a':null,'b':null}", "-{'a':1}"}},
        {"{'properties':{'a':false,'b':{}}}", {"+{}", "+{'b':1}", "-{'a':1}"}},
        {"{'type':'object','minProperties':1}", {"+{'a':1}", "-{}"}},
        {"{'type':'object','maxProperties':1}", {"+{}", "+{'a':1}", "-{'a':1,'b':2}"}},
        {"{'properties':{'a':{},'b':{},'c':{}},'minProperties':2}",
         {"-{}", "-{'a':1}", "+{'a':1,'b':2}", "+{'b':1,'c':2}", "+{'a':1,'b':2,'c':3}",
          "-{'c':1}"}},
        {"{'properties':{'a':{},'b':{},'c':{}},'required':['b'],'maxProperties':2}",
         {"+{'b':1}", "+{'a':1,'b':2}", "+{'b':1,'c':2}", "-{'a':1,'c':2}",
          "-{'a':1,'b':2,'c':3}"}},
        {"{'properties':{'a':{}},'additionalProperties':{},'minProperties':2,'maxProperties':2}",
         {"+{'a':1,'b':2}", "-{'a':1}", "-{'b':1,'c':2}", "-{'a':1,'b':2,'c':3}"}},
        {"{'properties':{'a':{}},'minProperties':1,'maxProperties':9}", {"+{'a':1}", "-{}"}},
        {"{'type':'object','maxProperties':0}", {"+{}", "-{'a':1}"}},
        {"{'type':'object','minProperties':0,'maxProperties':5e9}", {"+{}", "+{'a':1}"}},
    };
    CHECK_ALL(cases);
}

static void test_lists(void **state) {
    (void)state;
    static const schema_case cases[] = {
        {"{'items':{'type':'null'}}", {"+[]", "+[null]", "+[ null , null\n]", "-[1]"}},
        {"{'items':{'type':'null'},'minItems':2,'maxItems':3}",
         {"-[]", "-[null]", "+[null,null]", "+[null,null,null]", "-[null,null,null,null]"}},
        {"{'items':{},'maxItems':0}", {"+[]", "-[1]"}},
        {"{'items':{},'maxItems':1}", {"+[]", "+[1]", "-[1,2]"}},
        {"{'items':false}", {"+[]", "-[1]"}},
        {"{'prefixItems':[{'type':'null'},{'type':'boolean'}]}",
         {"+[]", "+[null]", "+[null,true]", "-[true]", "-[null,true,1]"}},
        {"{'prefixItems':[{'type':'null'},{'type':'boolean'}],'items':{'type':'null'},'minItems':"
         "1}",
         {"-[]", "+[null]", "+[null,true]", "+[null,true,null,null]", "-[null,true,1]"}},
        {"{'prefixItems':[{'type':'null'}],'items':{'type':'boolean'},'minItems':3,'maxItems':4}",
         {"-[null,true]", "+[null,true,true]", "+[null,true,true,true]",
          "-[null,true,true,true,true]"}},
        {"{'prefixItems':[{'type':'null'},{'type':'null'}],'maxItems':1}",
         {"+[]", "+[null]", "-[null,null]"}},
        {"{'prefixItems':[{'type':'null'}],'minItems':2}", {"+[null,1]", "-[null]", "-[null,1,2]"}},
        {"{'prefixItems':[{'type':'null'},false,{'type':'null'}]}",
         {"+[]", "+[null]", "-[null,1]"}},
        {"{'items':[{'type':'null'}],'additionalItems':{'type':'boolean'}}",
         {"+[]", "+[null,true]", "-[true]"}},
        {"{'items':[{'type':'null'}],'additionalItems':false}", {"+[null]", "-[null,1]"}},
        {"{'items':{'type':'null'},'additionalItems':false}", {"+[null,null]"}},
        {"{'items':{},'uniqueItems':false}", {"+[1,1]"}},
        {"{'items':{},'uniqueItems':true,'maxItems':1}", {"+[1]", "-[1,1]"}},
        {"{'allOf':[{'items':{'minimum':2}},{'prefixItems':[{'type':'integer','maximum':5}]}]}",
         {"+[2]", "+[5,9.5]", "-[6]", "-[1]", "-[2,1]"}},
    };
    CHECK_ALL(cases);
}

static void test_strings(void **state) {
    (void)state;
    static const schema_case cases[] = {
        {"{'minLength':2,'maxLength':3}",
         {"-'a'", "+'ab'", "+'\\n\\n\\n'", "-'abcd'", "+'\xc3\xa4\xc3\xa4'"}},
        {"{'type':'string','maxLength':0}", {"+''", "-'a'"}},
        {"{'pattern':'^a+$'}", {"+'a'", "+'aaa'", "-''", "-'ab'"}},
        {"{'pattern':'b'}", {"+'abc'", "+'b'", "~'a"}},
        {"{'pattern':'^a+$','maxLength':2}", {"+'a'", "+'aa'", "-'aaa'"}},
        {"{'pattern':'^[a-c]{2,9}$','minLength':3,'maxLength':4}",
         {"-'ab'", "+'abc'", "+'abca'", "-'abcab'"}},
        {"{'pattern':'^abc$','minLength':1,'maxLength':3}", {"+'abc'", "-'ab'"}},
        {"{'pattern':'b','maxLength':2}", {"+'b'", "+'ab'", "+'bx'", "-'abc'", "-'aa'", "+'\\nb'"}},
        {"{'pattern':'^(ab)*$','minLength':3}", {"-'ab'", "+'abab'", "~'aba"}},
        {"{'allOf':[{'pattern':'^a'},{'pattern':'b$'},{'minLength':3}]}",
         {"+'aab'", "-'ab'", "+'axb'", "~'axx"}},
        {"{'allOf':[{'pattern':'^a$'},{'pattern':'^a$'}]}", {"+'a'"}},
        {"{'pattern':'^\\\\S+$','minLength':2}", {"+'ab'", "-'a'", "-'a b'"}},
        {"{'format':'date'}",
         {"+'2024-02-29'", "-'2023-02-29'", "+'2000-02-29'", "-'1900-02-29'", "-'2024-04-31'",
          "+'2024-12-31'", "-'2024-13-01'", "-'0000-01-01'", "+'0004-02-29'", "-'2024-1-1'"}},
        {"{'format':'time'}",
         {"+'23:59:59Z'", "+'00:00:00.123+05:30'", "-'24:00:00Z'", "-'23:59:60Z'", "-'10:00:00'"}},
        {"{'format':'date-time'}",
         {"+'2024-01-01T00:00:00Z'", "-'2024-01-01'", "-'2024-01-01 00:00:00Z'"}},
        {"{'format':'duration'}",
         {"+'P1D'", "+'PT1H2M3S'", "+'P1Y2M3DT4H'", "+'P3W'", "~'P", "~'PT", "-'P1W1D'",
          "-'P1DT'"}},
        {"{'format':'email'}", {"+'a.b@c-d.org'", "-'a@b'", "-'@b.org'", "-'a..b@c.org'"}},
        {"{'format':'ipv4'}",
         {"+'0.0.0.0'", "+'255.255.255.255'", "-'256.1.1.1'", "-'1.1.1'", "-'01.1.1.1'"}},
        {"{'format':'ipv6'}",
         {"+'::'", "+'::1'", "+'1::'", "+'1:2:3:4:5:6:7:8'", "+'2001:db8::a:b'", "-'1:2:3:4:5:6:7'",
          "-':1'", "-'1::2::3'"}},
        {"{'format':'uuid'}", {"+'123e4567-e89b-12d3-a456-426614174000'", "-'123e4567'"}},
        {"{'format':'uri'}", {"+'https://a.b/c?d=e#f'", "-'a b'", "-'//a'"}},
        {"{'format':'json-pointer'}", {"+''", "+'/a~0b/~1'", "~'/~", "-'a'"}},
        {"{'type':'string','format':'password','minLength':1}", {"+'x'", "-''"}},
        {"{'format':'date','pattern':'^2024-02'}", {"+'2024-02-29'", "-'2025-02-01'"}},
        {"{'format':'uuid','minLength':36,'maxLength':36}",
         {"+'123e4567-e89b-12d3-a456-426614174000'"}},
    };
    CHECK_ALL(cases);
}

static void test_numbers(void **state) {
    (void)state;
    static const schema_case cases[] = {
        {"{'type':'integer','minimum':-12,'maximum':105}",
         {"+-12", "--13", "+0", "--0", "+9", "+10", "+99", "+100", "+105", "-106", "-110", "+-9"}},
        {"{'type':'integer','exclusiveMinimum':9,'exclusiveMaximum':12}",
         {"-9", "+10", "+11", "-12", "~1"}},
        {"{'type':'integer','minimum':1.5,'maximum':3.5}", {"-1", "+2", "+3", "-4"}},
        {"{'type':'integer','minimum':100}",
         {"~99", "+100", "+999999999999999", "-1000000000000000"}},
        {"{'type':'integer','maximum':-100}", {"+-100", "~-99", "-0", "+-123456"}},
        {"{'type':'integer','minimum':5,'maximum':5}", {"+5", "-4", "-55"}},
        {"{'type':'integer','minimum':-1e20,'maximum':1e20}", {"+5", "+-999999999999999"}},
        {"{'type':'integer','multipleOf':3}",
         {"+0", "+3", "+-12", "~4", "+999999999999999", "-03"}},
        {"{'type':'integer','multipleOf':1}", {"+7"}},
        {"{'type':'integer','multipleOf':100,'maximum':300}",
         {"+0", "+100", "+300", "-400", "-50", "+-1200"}},
        {"{'type':'integer','multipleOf':7,'minimum':7,'maximum':30}",
         {"+7", "+28", "-0", "-35", "-8"}},
        {"{'type':'number','multipleOf':5}", {"+10", "-10.0", "~11"}},
        {"{'allOf':[{'type':'integer','multipleOf':4},{'multipleOf':6}]}",
         {"+12", "+24", "~4", "~6"}},
        {"{'type':'number','minimum':0,'maximum':1}",
         {"+0", "+0.5", "+1", "+1.0", "-1.1", "--0", "-1e0", "-2", "+0.000001"}},
        {"{'type':'number','minimum':0.25,'exclusiveMaximum':2.5}",
         {"+0.25", "-0.24", "+0.251", "+2", "+2.49", "-2.5", "+1.99", "-3"}},
        {"{'type':'number','exclusiveMinimum':-1.5,'maximum':-0.5}",
         {"--1.5", "+-1.49", "+-1", "+-0.5", "--0.4", "-0"}},
        {"{'type':'number','minimum':-1,'maximum':1}",
         {"+-1", "+-0.5", "+0", "+1", "--1.1", "~-0"}},
        {"{'type':'number','exclusiveMinimum':0}",
         {"~0", "+0.000001", "+123456789.5", "+123456789012345"}},
        {"{'type':'number','maximum':1e30}", {"+1", "+-0.5", "-1e31"}},
        {"{'type':'number','minimum':123456789012345,'maximum':123456789012350}",
         {"+123456789012347"}},
        {"{'type':'integer','format':'int32'}", {"+2147483647", "-2147483648", "+-2147483648"}},
        {"{'type':'number','format':'int64'}", {"+2147483648", "-1.5"}},
        {"{'type':'number','format':'float'}", {"+1.5"}},
    };
    CHECK_ALL(cases);
}

static void test_values(void **state) {
    (void)state;
    static const schema_case cases[] = {
        {"{'const':'a'}", {"+'a'", "-'b'", "~'"}},
        {"{'const':{'a':[1,{}],'b':null}}",
         {"+{'a':[1,{}],'b':null}", "+{ 'a' : [ 1 , { } ] , 'b' : null }",
          "-{'b':null,'a':[1,{}]}"}},
        {"{'const':1.0}", {"+1", "-1.0"}},
        {"{'const':-0.1}", {"+-0.1"}},
        {"{'const':-0.0}", {"+0", "--0"}},
        {"{'const':1e-7}", {"+1e-07"}},
        {"{'enum':['a','ab','abc','b\\n',null,true,2]}",
         {"+'a'", "+'ab'", "+'abc'", "+'b\\n'", "+null", "+true", "+2", "-'b'", "-false", "~'abc"}},
        {"{'enum':['\xc3\xa4','\xc3\xb6','\xc3\xa4\xc3\xa4']}",
         {"+'\xc3\xa4'", "+'\xc3\xb6'", "+'\xc3\xa4\xc3\xa4'"}},
        {"{'type':'string','enum':['a',1,null]}", {"+'a'", "-1", "-null"}},
        {"{'enum':[1,2,3,4.5],'minimum':2,'type':'integer'}", {"-1", "+2", "+3", "-4.5"}},
        {"{'enum':[1,2,3,4],'exclusiveMinimum':1,'exclusiveMaximum':4,'multipleOf':2}",
         {"+2", "-3", "-4"}},
        {"{'enum':['a','abc','abcd'],'minLength':2,'maxLength':3}", {"+'abc'", "-'a'"}},
        {"{'enum':['2024-02-30','2024-02-29'],'format':'date'}",
         {"+'2024-02-29'", "-'2024-02-30'"}},
        {"{'enum':[[1],[1,1],['a'],[1,2,3]],'items':{'type':'integer'},'maxItems':2,'uniqueItems':"
         "true}",
         {"+[1]", "-[1,1]", "-['a']", "-[1,2,3]"}},
        {"{'enum':[{'a':1},{'a':1,'b':2},{}],'properties':{'a':{'const':1}},'required':['a'],'"
         "additionalProperties':false}",
         {"+{'a':1}", "-{}", "-{'a':1,'b':2}"}},
        {"{'enum':[{},{'a':1}],'minProperties':1}", {"+{'a':1}", "-{}"}},
        {"{'enum':[1,2],'const':2}", {"+2", "-1"}},
        {"{'allOf':[{'enum':[1,2,[1,{'a':2}]]},{'enum':[2,3,[1,{'a':2}]]}]}",
         {"+2", "-1", "-3", "+[1,{'a':2}]"}},
        {"{'enum':[1,'a',[]],'anyOf':[{'type':'string'},{'type':'array'}]}", {"+'a'", "+[]", "-1"}},
        {"{'enum':[[1],[2]],'items':{'oneOf':[{'minimum':2},{'maximum':5}]}}", {"+[1]", "-[2]"}},
        {"{'enum':[[1],[2]],'items':{'$ref':'#/$defs/"
         "x'},'$defs':{'x':{'allOf':[{'minimum':2}],'anyOf':[true,false]}}}",
         {"+[2]", "-[1]"}},
        {"{'enum':[3000000000,1],'format':'int32','type':'integer'}", {"+1", "-3000000000"}},
    };
    CHECK_ALL(cases);
}

static void test_combinations(void **state) {
    (void)state;
    static const schema_case cases[] = {
        {"{'anyOf':[{'type':'null'},{'type':'boolean'}]}", {"+null", "+true", "-1"}},
        {"{'type':'integer','anyOf':[{'minimum':10},{'maximum':-10}]}",
         {"+10", "~9", "+-10", "-0"}},
        {"{'anyOf':[{'minimum':1},{'maximum':-1}],'oneOf':[{'type':'integer'},{'type':'string'}]}",
         {"+1", "-0", "+-5", "-1.5", "+'a'"}},
        {"{'allOf':[{'type':'integer'},{'type':['integer','null']},{'minimum':3}]}",
         {"+3", "-null", "~2"}},
        {"{'allOf':[{'type':'number'},{'type':'integer'}]}", {"+3", "-3.5"}},
        {"{'allOf':[true,{'type':'null'}]}", {"+null"}},
        {"{'anyOf':[false,{'type':'null'}]}", {"+null", "-1"}},
        {"{'oneOf':[{'type':'null'}]}", {"+null"}},
        {"{'oneOf':[{'type':'string','maxLength':3},{'type':'string','minLength':4}]}",
         {"+'abc'", "+'abcd'"}},
        {"{'oneOf':[{'type':'integer','maximum':3},{'type':'integer','exclusiveMinimum':3}]}",
         {"+3", "+4"}},
        {"{'oneOf':[{'const':1},{'enum':[2,3]}]}", {"+1", "+3"}},
        {"{'oneOf':[{'items':{},'maxItems':1},{'items':{},'minItems':2}]}", {"+[]", "+[1,2]"}},
        {"{'oneOf':[{'properties':{'k':{'const':'a'}},'required':['k']},{'properties':{'k':{'const'"
         ":'b'},'v':{}},'required':['k','v']}]}",
         {"+{'k':'a'}", "+{'k':'b','v':1}", "-{'k':'b'}"}},
        {"{'oneOf':[{'properties':{'a':{}},'required':['a'],'additionalProperties':false},{'"
         "properties':{'b':{}},'required':['b'],'additionalProperties':false}]}",
         {"+{'a':1}", "+{'b':1}", "-{'a':1,'b':1}"}},
        {"{'oneOf':[{'type':'string'},{'oneOf':[{'type':'null'},{'type':'boolean'}]}]}",
         {"+'a'", "+null", "+true"}},
        {"{'$ref':'#/$defs/a','$defs':{'a':{'type':'null'}}}", {"+null"}},
        {"{'$ref':'#/definitions/a','minimum':5,'definitions':{'a':{'type':'integer'}}}",
         {"+5", "~4"}},
        {"{'items':{'$ref':'#'},'type':'array'}", {"+[]", "+[[],[[]]]", "-[1]"}},
        {"{'$id':'http://x/y','$ref':'http://x/y#/$defs/a','$defs':{'a':{'items':{'$ref':'http://x/"
         "y#b'}},'b':{'$anchor':'b','type':'null'}}}",
         {"+[null]", "-[1]"}},
        {"{'items':{'$ref':'#/$defs/a%20b~1c~0'},'$defs':{'a b/c~':{'type':'null'}}}", {"+[null]"}},
        {"{'items':{'$ref':'#/$defs/l/1'},'$defs':{'l':[{},{'type':'null'}]}}",
         {"+[null]", "-[1]"}},
        {"{'properties':{'$id':{'type':'null'},'a':{'$ref':'#/properties/$id'}}}",
         {"+{'$id':null,'a':null}"}},
    };
    CHECK_ALL(cases);
}

static const char *const refused[][2] = {
    {"false", "the schema cannot be met: #: nothing meets the schema false"},
    {"1", "#: a schema has to be an object, true or false"},
    {"{'properties':{'a':1}}", "#/properties/a: a schema has to be"},
    {"{'properties':{'a':{'items':{'if':{}}}}}", "#/properties/a/items: \"if\" is not supported"},
    {"{'properties':{'a/b~':{'nonsense':1}}}",
     "#/properties/a~1b~0: \"nonsense\" is not supported"},
    {"{'anyOf':[{},{'not':{}}]}", "#/anyOf/1: \"not\" is not supported"},
    {"{'then':{}}", "\"then\" is not supported"},
    {"{'else':{}}", "\"else\" is not supported"},
    {"{'patternProperties':{}}", "\"patternProperties\" is not supported"},
    {"{'propertyNames':{}}", "\"propertyNames\" is not supported"},
    {"{'dependencies':{}}", "\"dependencies\" is not supported"},
    {"{'dependentRequired':{}}", "\"dependentRequired\" is not supported"},
    {"{'dependentSchemas':{}}", "\"dependentSchemas\" is not supported"},
    {"{'unevaluatedProperties':false}", "\"unevaluatedProperties\" is not supported"},
    {"{'unevaluatedItems':false}", "\"unevaluatedItems\" is not supported"},
    {"{'contains':{}}", "\"contains\" is not supported"},
    {"{'items':{},'minContains':1}", "\"minContains\" is not supported"},
    {"{'$dynamicRef':'#a'}", "\"$dynamicRef\" is not supported"},
    {"{'$recursiveRef':'#'}", "\"$recursiveRef\" is not supported"},
    {"{'$vocabulary':{}}", "\"$vocabulary\" is not supported"},
    {"{'const':1,'unknown':1}", "\"unknown\" is not supported"},
    {"{'enum':[{}],'patternProperties':{}}", "\"patternProperties\" is not supported"},
    {"{'enum':[[{}]],'items':{'nonsense':1}}", "\"nonsense\" is not supported"},
    {"{'type':'text'}", "\"type\" names no type: text"},
    {"{'type':5}", "\"type\" names no type"},
    {"{'type':[null]}", "\"type\" names no type"},
    {"{'type':'string','type':'null'}", "\"type\" is there twice"},
    {"{'type':'string','nullable':1}", "\"nullable\" has to be true or false"},
    {"{'properties':[]}", "\"properties\" has to be an object"},
    {"{'properties':{'a':{},'a':{}}}", "the property \"a\" is there twice"},
    {"{'required':'a'}", "\"required\" has to be a list of names"},
    {"{'required':[1]}", "\"required\" has to be a list of names"},
    {"{'additionalProperties':1}", "a schema has to be"},
    {"{'type':'object','minProperties':3}", "more than one would have a name that is not listed"},
    {"{'properties':{'a':{}},'minProperties':2}", "the numbers of properties contradict"},
    {"{'required':['a','b'],'maxProperties':1}", "the numbers of properties contradict"},
    {"{'minProperties':-1}", "\"minProperties\" has to be an integer from 0 on"},
    {"{'minItems':1.5}", "\"minItems\" has to be an integer from 0 on"},
    {"{'minItems':'1'}", "\"minItems\" has to be a number"},
    {"{'minLength':1e9}", "\"minLength\" is larger than"},
    {"{'minItems':3,'maxItems':2}", "minItems is larger than maxItems"},
    {"{'minLength':3,'maxLength':2}", "minLength is larger than maxLength"},
    {"{'items':{},'uniqueItems':true}", "\"uniqueItems\" is not supported"},
    {"{'items':{},'uniqueItems':1}", "\"uniqueItems\" has to be true or false"},
    {"{'prefixItems':{}}", "\"prefixItems\" has to be a list of schemas"},
    {"{'prefixItems':[{}],'items':[{}]}", "\"items\" is a list beside"},
    {"{'items':5}", "a schema has to be"},
    {"{'pattern':5}", "\"pattern\" has to be a text"},
    {"{'properties':{'a':{'pattern':'(?=a)'}}}", "#/properties/a: the regular expression"},
    {"{'pattern':'(a','maxLength':3}", "a group has no )"},
    {"{'enum':['a'],'pattern':'['}", "class of characters has no ]"},
    {"{'pattern':'^(a|b)*(c|d)+x?y$','maxLength':9000}", "has more than 4096 states"},
    {"{'pattern':'^b$','minLength':3}", "cannot be met"},
    {"{'format':5}", "\"format\" has to be a text"},
    {"{'type':'string','format':'regex'}", "the \"format\" regex is not supported"},
    {"{'type':'number','format':5}", "\"format\" has to be a text"},
    {"{'minimum':'1'}", "\"minimum\" has to be a number"},
    {"{'minimum':1e999}", "\"minimum\" has to be a number"},
    {"{'exclusiveMinimum':true}", "\"exclusiveMinimum\" has to be a number"},
    {"{'type':'integer','minimum':1e16}", "no number of up to 15 digits"},
    {"{'type':'number','maximum':-1e16}", "no number of up to 15 digits"},
    {"{'type':'integer','minimum':3,'maximum':2}", "no number of up to 15 digits"},
    {"{'type':'integer','minimum':1.2,'maximum':1.8}", "no number of up to 15 digits"},
    {"{'type':'number','exclusiveMinimum':1,'maximum':1}", "no number of up to 15 digits"},
    {"{'type':'integer','multipleOf':7,'minimum':8,'maximum':13}", "no number of up to 15 digits"},
    {"{'type':'number','multipleOf':0.01}", "\"multipleOf\" is supported for integers alone"},
    {"{'type':'number','multipleOf':0}", "\"multipleOf\" has to be above 0"},
    {"{'type':'integer','multipleOf':257}", "\"multipleOf\" is supported without bounds up to 256"},
    {"{'type':'integer','multipleOf':7,'minimum':0}", "that leave up to 1000 numbers"},
    {"{'allOf':[{'multipleOf':999999999999989},{'multipleOf':999999999999947}]}", "is too large"},
    {"{'enum':5}", "\"enum\" has to be a list of values"},
    {"{'enum':[]}", "no value of its \"enum\" or \"const\""},
    {"{'type':'string','enum':[1,2]}", "#: no value of its \"enum\" or \"const\" meets the rest"},
    {"{'const':1e16}", "numbers of 2^53 and more are not exact"},
    {"{'const':1e999}", "numbers of 2^53 and more are not exact"},
    {"{'const':{'a':1,'a':2}}", "the name \"a\" is there twice"},
    {"{'enum':[1],'multipleOf':0.5}", "\"multipleOf\" is supported for integers alone"},
    {"{'enum':[{}],'required':5}", "\"required\" has to be a list of names"},
    {"{'enum':[[1]],'items':5}", "a schema has to be"},
    {"{'allOf':[{'type':'string'},{'type':'null'}]}", "no \"type\" is left"},
    {"{'allOf':[]}", "\"allOf\" has to be a list of schemas"},
    {"{'anyOf':{}}", "\"anyOf\" has to be a list of schemas"},
    {"{'oneOf':[{'type':'number'},{'type':'integer'}]}",
     "#/oneOf: \"oneOf\": a value may meet the branches 0 and 1"},
    {"{'oneOf':[{'type':'string'},{'type':'string'}]}", "a value may meet the branches 0 and 1"},
    {"{'oneOf':[{'type':'boolean'},{'const':true}]}", "a value may meet the branches 0 and 1"},
    {"{'oneOf':[{'properties':{'a':{}}},{'properties':{'b':{}}}]}",
     "a value may meet the branches"},
    {"{'$ref':5}", "\"$ref\" has to be a text"},
    {"{'$ref':'other.json#/a'}", "\"$ref\" leads out of the schema, to other.json#/a"},
    {"{'$ref':'#/nowhere'}", "\"$ref\" leads to nothing: #/nowhere"},
    {"{'$ref':'#/$defs/l/01','$defs':{'l':[{},{}]}}", "leads to nothing"},
    {"{'$ref':'#/$defs/l/x','$defs':{'l':[{}]}}", "leads to nothing"},
    {"{'$ref':'#/a~2'}", "leads to nothing"},
    {"{'$ref':'#nowhere'}", "leads to nothing"},
    {"{'$ref':'#a','$defs':{'x':{'$anchor':'a'},'y':{'$anchor':'a'}}}", "leads to several places"},
    {"{'$ref':'#a','enum':[{'$anchor':'a'}]}", "leads to nothing"},
    {"{'$ref':'#/%zz'}", "a % that is no escape"},
    {"{'$ref':'#/$defs/a','$defs':{'a':{'$id':'b'}}}", "have an $id"},
    {"{'$ref':'#'}", "the schema refers to itself for the same value"},
    {"{'$ref':'#/$defs/a','$defs':{'a':{'anyOf':[{'type':'null'},{'$ref':'#/$defs/"
     "b'}]},'b':{'allOf':[{'$ref':'#/$defs/a'}]}}}",
     "refers to itself"},
    {"{'properties':{'a':{'$ref':'#'}},'required':['a']}", "every value would have to hold itself"},
    {"{'items':{'$ref':'#'},'minItems':1}", "every value would have to hold itself"},
    {"{'enum':[[]],'allOf':[{'items':{}}],'$ref':'#'}", "refers to itself"},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        pd_automaton *a = NULL;
        pd_error err = {0};
        pd_status status = make(refused[i][0], &a, &err);
        pd_automaton_destroy(a);
        if (status != PD_ERR_ARGUMENT) fail_msg("not refused: %s", refused[i][0]);
        if (!strstr(err.message, refused[i][1])) fail_msg("%s: %s", refused[i][0], err.message);
    }
}

static void expect_refused(const char *text, const char *words) {
    pd_rules r = {0};
    pd_node root;
    pd_error err = {0};
    assert_int_equal(pd_schema_parse(&r, text, strlen(text), &root, &err), PD_ERR_ARGUMENT);
    if (!strstr(err.message, words)) fail_msg("%.100s: %s", text, err.message);
    assert_int_equal(pd_schema_parse(&r, text, strlen(text), &root, NULL), PD_ERR_ARGUMENT);
    pd_rules_free(&r);
}

static void test_texts_refused(void **state) {
    (void)state;
    expect_refused("", "not JSON");
    expect_refused("{\"type\":", "not JSON");
    expect_refused("{} x", "not JSON");
    expect_refused("{\"const\":\"a\\u0000b\"}", "\\u0000");
    expect_refused("{\"const\":\"a\xff\"}", "not UTF-8");
    expect_refused("{\"enum\":[\"a\xff\"]}", "not UTF-8");
    expect_refused("{\"const\":{\"\xff\":1}}", "not UTF-8");
    expect_refused("{\"properties\":{\"\xff\":{}}}", "not UTF-8");
    expect_refused("{\"required\":[\"\xff\"]}", "not UTF-8");
    expect_refused("{\"pattern\":\"\xff\"}", "not UTF-8");
}

/* before, then `begin` n times, middle, `end` n times */
static void expect_nested(const char *begin, const char *end, size_t n, const char *words) {
    pd_bytes text = {0};
    for (size_t i = 0; i < n; i++) pd_bytes_write(&text, begin, strlen(begin));
    pd_bytes_write(&text, "{}", 2);
    for (size_t i = 0; i < n; i++) pd_bytes_write(&text, end, strlen(end));
    pd_bytes_write(&text, "", 1);
    expect_refused(text.data, words);
    pd_bytes_free(&text);
}

static void test_depth(void **state) {
    (void)state;
    expect_nested("{\"items\":", "}", 300, "nested more than 256 deep");
    expect_nested("{\"properties\":{\"a\":", "}}", 300, "nested more than 256 deep");
    expect_nested("{\"allOf\":[", "]}", 300, "more than 256 schemas lead to one another");
    expect_nested("{\"anyOf\":[", "]}", 300, "more than");
    expect_nested("[", "]", 2000, "not JSON");
}

/* before, then `each` with numbers 0..n-1 and commas between, after */
static void expect_many(const char *before, const char *each, size_t n, const char *after,
                        const char *words) {
    pd_bytes text = {0};
    pd_bytes_printf(&text, "%s", before);
    for (size_t i = 0; i < n; i++) {
        pd_bytes_printf(&text, "%s", i ? "," : "");
        for (const char *c = each; *c; c++)
            if (*c == '@')
                pd_bytes_printf(&text, "%zu", i);
            else
                pd_bytes_write(&text, c, 1);
    }
    pd_bytes_printf(&text, "%s", after);
    expect_refused(text.data, words);
    pd_bytes_free(&text);
}

static void test_size(void **state) {
    (void)state;
    expect_many("{\"properties\":{", "\"a@\":{}", 1001, "}}", "more than 1000 properties");
    expect_many("{\"prefixItems\":[", "{}", 1001, "]}", "a prefix of more than 1000 items");
    expect_many("{\"allOf\":[", "{\"minimum\":@}", 300, "]}",
                "more than 256 schemas come together");
    expect_many("{\"allOf\":[", "{\"anyOf\":[{\"minimum\":@}]}", 40, "]}", "more than 32 anyOf");
    expect_many("{\"allOf\":[", "{\"anyOf\":[{\"minimum\":@},{\"maximum\":@}]}", 30, "]}",
                "the schema means too much");
    expect_many("{", "\"x-@\":1", 501, "}", "more than 500 keywords");
    expect_many("{\"allOf\":[", "{\"pattern\":\"@\"}", 9, "]}", "more than 8 patterns");
    expect_many("{\"minProperties\":1,\"properties\":{", "\"a@\":{}", 150, "}}",
                "not supported for more than 140 properties");
    expect_many("{\"enum\":[", "[@]", 3000,
                "],\"allOf\":[{\"uniqueItems\":true,\"pattern\":\"x\"}],"
                "\"items\":{\"type\":\"string\"}}",
                "no value of its");
}

static void test_long_name_beside_others(void **state) {
    (void)state;
    pd_bytes text = {0};
    pd_bytes_printf(&text, "{\"additionalProperties\":{},\"properties\":{\"%0300d\":{}}}", 0);
    expect_refused(text.data, "longer than 250 bytes");
    pd_bytes_free(&text);
}

/* What went wrong in the tree before is said, and nothing is read from it. */
static void test_status_is_kept(void **state) {
    (void)state;
    static const pd_status kept[] = {PD_ERR_MEMORY_HOST, PD_ERR_ARGUMENT};
    static const char text[] = "{\"properties\":{\"a\":{\"pattern\":\"b+\",\"maxLength\":3},\"c\":"
                               "{\"minimum\":0.5}},\"additionalProperties\":{\"enum\":[1,\"a\"]}}";
    for (size_t i = 0; i < 2; i++) {
        pd_rules r = {.status = kept[i]};
        pd_node root;
        pd_error err;
        assert_int_equal(pd_schema_parse(&r, text, sizeof text - 1, &root, &err), kept[i]);
        pd_rules_free(&r);
    }
}

/* Each beginning of a schema, and each with a byte changed, is read or refused. */
static void test_damage(void **state) {
    (void)state;
    char text[1024], damaged[1024];
    quoted("{'$defs':{'a':{'type':['string','null'],'pattern':'^a{2}b?$','maxLength':9}},'type':"
           "'object','properties':{'x':{'$ref':'#/$defs/a'},'y':{'items':{'enum':[1,'b',{'c':[]}]},"
           "'minItems':1},'z':{'oneOf':[{'minimum':-1.5,'maximum':3},{'const':null}]}},'required':"
           "['x'],'additionalProperties':{'format':'date'}}",
           text, sizeof text);
    size_t n = strlen(text);
    for (size_t i = 0; i <= 2 * n; i++) {
        pd_rules r = {0};
        pd_node root;
        pd_error err;
        pd_automaton *a = NULL;
        memcpy(damaged, text, n + 1);
        if (i < n)
            damaged[i] = "\"a{[1,\\\xff"[i % 8];
        else
            damaged[i - n] = '\0';
        if (pd_schema_parse(&r, damaged, strlen(damaged), &root, &err) == PD_OK)
            pd_automaton_create(&r, root, &a, &err);
        pd_automaton_destroy(a);
        pd_rules_free(&r);
    }
}

static void test_any(void **state) {
    (void)state;
    pd_rules r = {0};
    pd_automaton *a;
    pd_error err;
    pd_node object = pd_schema_any_object(&r);
    assert_int_equal(pd_automaton_create(&r, object, &a, &err), PD_OK);
    assert_int_equal(follow_text(a, "{\"a\": [1, {\"b\": null}]}"), ACCEPTED);
    assert_int_equal(follow_text(a, "[]"), REFUSED);
    pd_automaton_destroy(a);
    pd_node value = pd_schema_any_value(&r);
    assert_int_equal(pd_automaton_create(&r, value, &a, &err), PD_OK);
    assert_int_equal(follow_text(a, "[true, \"x\"]"), ACCEPTED);
    assert_int_equal(follow_text(a, "x"), REFUSED);
    pd_automaton_destroy(a);
    pd_rules_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_objects),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_combinations),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_texts_refused),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_size),
        cmocka_unit_test(test_long_name_beside_others),
        cmocka_unit_test(test_status_is_kept),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

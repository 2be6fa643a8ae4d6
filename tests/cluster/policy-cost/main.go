// Evaluates the expressions of an admission policy on pods as the API server does (k8s.io/apiserver, pkg/admission/plugin/cel), and prints
// one line of JSON for each pod: what the match conditions and the policy cost, and the first error.
//
//	policy-cost POLICY.json PODS.json
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	celgo "github.com/google/cel-go/cel"
	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	"k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// The parts of a MutatingAdmissionPolicy or a ValidatingAdmissionPolicy that have expressions.
type policy struct {
	Spec struct {
		MatchConditions []expression
		Variables       []expression
		Mutations       []struct{ JSONPatch struct{ Expression string } }
		Validations     []struct{ Expression, MessageExpression string }
	}
}

type expression struct{ Name, Expression string }

func (e expression) GetName() string            { return e.Name }
func (e expression) GetExpression() string      { return e.Expression }
func (e expression) ReturnTypes() []*celgo.Type { return []*celgo.Type{celgo.AnyType, celgo.DynType} }

type condition struct{ expression }

func (condition) ReturnTypes() []*celgo.Type { return []*celgo.Type{celgo.BoolType} }

type line struct {
	Name       string `json:"name"`
	Matches    bool   `json:"matches"`
	Conditions int64  `json:"conditions"`
	Policy     int64  `json:"policy"`
	Result     string `json:"result,omitempty"`
	Error      string `json:"error,omitempty"`
}

func main() {
	var p policy
	var pods []*corev1.Pod
	err := errors.Join(read(os.Args[1], &p), read(os.Args[2], &pods))
	if err == nil {
		err = run(p, pods)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "policy-cost:", err)
		os.Exit(1)
	}
}

func read(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func run(p policy, pods []*corev1.Pod) error {
	base := environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion(), true)
	compiler, err := plugincel.NewCompositedCompiler(base)
	if err != nil {
		return err
	}
	options := plugincel.OptionalVariableDeclarations{StrictCost: true, HasAuthorizer: true}
	for _, variable := range p.Spec.Variables {
		if r := compiler.CompileAndStoreVariable(variable, options, environment.StoredExpressions); r.Error != nil {
			return fmt.Errorf("variable %s: %s", variable.Name, r.Error.Detail)
		}
	}
	compile := func(accessors []plugincel.ExpressionAccessor) (plugincel.ConditionEvaluator, error) {
		evaluator := compiler.CompileCondition(accessors, options, environment.StoredExpressions)
		return evaluator, errors.Join(evaluator.CompilationErrors()...)
	}
	var conditions, validations []plugincel.ExpressionAccessor
	for _, c := range p.Spec.MatchConditions {
		conditions = append(conditions, condition{c})
	}
	for _, v := range p.Spec.Validations {
		validations = append(validations, condition{expression{"validation", v.Expression}})
	}
	matcher, err := compile(conditions)
	if err != nil {
		return err
	}
	validator, err := compile(validations)
	if err != nil {
		return err
	}
	var mutators []plugincel.MutatingEvaluator
	for _, mutation := range p.Spec.Mutations {
		withPatch := options
		withPatch.HasPatchTypes = true
		accessor := &patch.JSONPatchCondition{Expression: mutation.JSONPatch.Expression}
		mutator := compiler.CompileMutatingEvaluator(accessor, withPatch, environment.StoredExpressions)
		if err := errors.Join(mutator.CompilationErrors()...); err != nil {
			return err
		}
		mutators = append(mutators, mutator)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	request := &admissionv1.AdmissionRequest{Namespace: "shop", Operation: admissionv1.Create}
	for _, pod := range pods {
		kind := schema.GroupVersionKind{Version: "v1", Kind: "Pod"}
		resource := schema.GroupVersionResource{Version: "v1", Resource: "pods"}
		record := admission.NewAttributesRecord(pod, nil, kind, "shop", pod.Name, resource, "", admission.Create,
			&metav1.CreateOptions{}, false, nil)
		versioned := &admission.VersionedAttributes{Attributes: record, VersionedKind: kind, VersionedObject: pod}
		none := plugincel.OptionalVariableBindings{}
		shown := line{Name: pod.Name, Matches: true}
		evaluate := func(evaluator plugincel.ConditionEvaluator, budget int64) ([]plugincel.EvaluationResult, int64) {
			results, left, err := evaluator.ForInput(compiler.CompositionEnv.CreateContext(context.Background()),
				versioned, request, none, namespace, budget)
			for _, r := range results {
				err = errors.Join(err, r.Error)
			}
			if err != nil {
				shown.Error = err.Error()
			}
			return results, budget - left
		}
		results, cost := evaluate(matcher, cel.RuntimeCELCostBudgetMatchConditions)
		shown.Conditions = cost
		for _, r := range results {
			shown.Matches = shown.Matches && r.EvalResult != nil && r.EvalResult.Value() == true
		}
		if shown.Matches && len(mutators) > 0 {
			for _, mutator := range mutators {
				result, left, err := mutator.ForInput(compiler.CompositionEnv.CreateContext(context.Background()),
					versioned, request, none, namespace, cel.RuntimeCELCostBudget)
				shown.Policy += cel.RuntimeCELCostBudget - left
				if err = errors.Join(err, result.Error); err != nil {
					shown.Error = err.Error()
					break
				}
				shown.Result = fmt.Sprint(result.EvalResult.Value())
			}
		} else if shown.Matches {
			_, shown.Policy = evaluate(validator, cel.RuntimeCELCostBudget)
		}
		text, err := json.Marshal(shown)
		if err != nil {
			return err
		}
		fmt.Println(string(text))
	}
	return nil
}

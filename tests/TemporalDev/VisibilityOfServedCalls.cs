using System.Text.RegularExpressions;
using SnapshotFlow.TemporalDev.Rpc;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace SnapshotFlow.Tests.TemporalDev;

/// <summary>The tables of docs/temporal-dev.md against the server itself.</summary>
public partial class VisibilityOfServedCalls
{
    private static readonly (ServiceDescriptor Service, Type Implementation)[] Services =
    [
        (Temporalio.Api.WorkflowService.V1.ServiceReflection.Descriptor.Services[0], typeof(WorkflowService)),
        (Temporalio.Api.OperatorService.V1.ServiceReflection.Descriptor.Services[0], typeof(OperatorService)),
        (Temporalio.Api.TestService.V1.ServiceReflection.Descriptor.Services[0], typeof(TestService)),
    ];

    private static readonly string[] Document = File.ReadAllLines(Path.Combine(AppContext.BaseDirectory, "temporal-dev.md"));

    [Fact]
    public void The_table_of_served_calls_names_exactly_the_calls_that_are_bound() =>
        Assert.Equal(Calls(served: true), Rows("## Calls that are served").SelectMany(row => row.Calls).Order(StringComparer.Ordinal));

    [Fact]
    public void The_table_of_refused_calls_names_exactly_the_others() =>
        Assert.Equal(Calls(served: false), Rows("## Calls that are refused").SelectMany(row => row.Calls).Order(StringComparer.Ordinal));

    [Fact]
    public void Each_refusal_names_the_feature_that_the_table_names() => Assert.All(
        Rows("## Calls that are refused"),
        row => Assert.All(row.Calls, call => Assert.Equal(row.First, Unimplemented.FeatureOf(call.Split('.')[^1]))));

    [Fact]
    public void Every_public_call_of_the_server_is_one_of_the_protocol_with_its_messages() => Assert.All(Services, s => Assert.All(
        ServedService.CallsOf(s.Implementation),
        call =>
        {
            // A call is bound by its name and messages: a slip in either would make another call of it.
            var method = s.Implementation.GetMethod(call)!;
            var official = s.Service.FindMethodByName(call);
            Assert.Equal(official.InputType.ClrType, method.GetParameters()[0].ParameterType);
            Assert.Equal(typeof(Task<>).MakeGenericType(official.OutputType.ClrType), method.ReturnType);
        }));

    private static IEnumerable<string> Calls(bool served) => Services
        .SelectMany(s => s.Service.Methods
            .Where(method => ServedService.CallsOf(s.Implementation).Contains(method.Name) == served)
            .Select(method => s.Service.Name == "WorkflowService" ? method.Name : $"{s.Service.Name}.{method.Name}"))
        .Order(StringComparer.Ordinal);

    private static IEnumerable<(string First, List<string> Calls)> Rows(string heading) => Document
        .SkipWhile(line => line != heading).Skip(1).TakeWhile(line => !line.StartsWith("## ", StringComparison.Ordinal))
        .Where(line => line.StartsWith('|') && line.Contains('`'))
        .Select(line => (line.Split('|')[1].Trim(), Name().Matches(line).Select(match => match.Groups[1].Value).ToList()));

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Name();
}

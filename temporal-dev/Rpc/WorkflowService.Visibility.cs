using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Visibility;
using SnapshotFlow.TemporalDev.Visibility.Filter;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>Lists and counts of runs.</summary>
internal sealed partial class WorkflowService
{
    public Task<ListWorkflowExecutionsResponse> ListWorkflowExecutions(ListWorkflowExecutionsRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var page = Understand(() => engine.Visibility.List(request.Namespace, request.Query, request.PageSize, request.NextPageToken));
        var response = new ListWorkflowExecutionsResponse { NextPageToken = page.NextPageToken };
        response.Executions.Add(page.Entries.Select(run => run.Info));
        return Task.FromResult(response);
    }

    public Task<CountWorkflowExecutionsResponse> CountWorkflowExecutions(CountWorkflowExecutionsRequest request, ServerCallContext context)
    {
        RequireNamespace(request.Namespace);
        var count = Understand(() => engine.Visibility.Count(request.Namespace, request.Query));
        var response = new CountWorkflowExecutionsResponse { Count = count.Total };
        response.Groups.Add(count.Groups.Select(group => new CountWorkflowExecutionsResponse.Types.AggregationGroup
        {
            GroupValues = { SearchAttributePayload.Keyword(group.Value) },
            Count = group.Count,
        }));
        return Task.FromResult(response);
    }

    private static T Understand<T>(Func<T> query)
    {
        try
        {
            return query();
        }
        catch (InvalidQueryException error)
        {
            throw Fault.Invalid(error.Message);
        }
    }
}

using SnapshotFlow.TemporalDev.Engine;
using SnapshotFlow.TemporalDev.Schedules;
using SnapshotFlow.TemporalDev.Visibility;
using Temporalio.Api.OperatorService.V1;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary><c>temporal.api.operatorservice.v1.OperatorService</c>: search attributes and the end of a namespace.</summary>
internal sealed class OperatorService(EngineHost engine, Scheduler scheduler)
{
    public async Task<AddSearchAttributesResponse> AddSearchAttributes(AddSearchAttributesRequest request, ServerCallContext context)
    {
        engine.Namespaces.Require(request.Namespace);
        if (request.SearchAttributes.Count == 0)
        {
            throw Fault.Invalid("SearchAttributes are not set on request.");
        }

        var added = new Dictionary<string, AttributeKind>(StringComparer.Ordinal);
        foreach (var (name, type) in request.SearchAttributes)
        {
            added[name] = AttributeKinds.FromWire(type) ?? throw Fault.Invalid($"Unable to add search attribute {name}: its type is not set.");
        }

        try
        {
            await engine.SearchAttributes.RegisterAsync(request.Namespace, added);
        }
        catch (ArgumentException error)
        {
            throw new Fault(StatusCode.AlreadyExists, error.Message);
        }

        return new AddSearchAttributesResponse();
    }

    public async Task<RemoveSearchAttributesResponse> RemoveSearchAttributes(RemoveSearchAttributesRequest request, ServerCallContext context)
    {
        engine.Namespaces.Require(request.Namespace);
        if (request.SearchAttributes.FirstOrDefault(IsBuiltIn) is { } builtIn)
        {
            throw Fault.Invalid($"Unable to remove non-custom search attribute: {builtIn}.");
        }

        try
        {
            await engine.SearchAttributes.RemoveAsync(request.Namespace, request.SearchAttributes);
        }
        catch (KeyNotFoundException error)
        {
            throw Fault.NotFound(error.Message);
        }

        return new RemoveSearchAttributesResponse();
    }

    public Task<ListSearchAttributesResponse> ListSearchAttributes(ListSearchAttributesRequest request, ServerCallContext context)
    {
        engine.Namespaces.Require(request.Namespace);
        var response = new ListSearchAttributesResponse();
        foreach (var (name, kind) in engine.SearchAttributes.Of(request.Namespace).Custom)
        {
            response.CustomAttributes[name] = AttributeKinds.ToWire(kind);
            response.StorageSchema[name] = AttributeKinds.TypeName(kind);
        }

        foreach (var (name, kind) in SystemAttributes.Reserved.Concat(SystemAttributes.Predefined))
        {
            response.SystemAttributes[name] = AttributeKinds.ToWire(kind);
        }

        return Task.FromResult(response);
    }

    /// <summary>Ends the namespace with everything in it: schedules first, so that nothing starts anew, then runs, then its name.</summary>
    public async Task<DeleteNamespaceResponse> DeleteNamespace(DeleteNamespaceRequest request, ServerCallContext context)
    {
        var known = request.Namespace.Length == 0 && request.NamespaceId.Length > 0
            ? engine.Namespaces.RequireById(request.NamespaceId)
            : engine.Namespaces.Require(request.Namespace);
        var name = known.NamespaceInfo.Name;
        await scheduler.DeleteNamespaceAsync(name, context.CancellationToken);
        await engine.Namespaces.RemoveAsync(name);
        foreach (var chain in engine.Chains.Where(chain => chain.Namespace == name).ToList())
        {
            foreach (var run in chain.Runs.Values.ToList())
            {
                await engine.DeleteAsync(run);
            }
        }

        engine.Visibility.RemoveNamespace(name);
        await engine.SearchAttributes.RemoveNamespaceAsync(name);
        return new DeleteNamespaceResponse { DeletedNamespace = name };
    }

    private static bool IsBuiltIn(string name) => SystemAttributes.Reserved.ContainsKey(name) || SystemAttributes.Predefined.ContainsKey(name);
}

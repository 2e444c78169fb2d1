using Grpc.Reflection;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;
using V1 = Grpc.Reflection.V1;
using V1Alpha = Grpc.Reflection.V1Alpha;

namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary>
/// gRPC server reflection, in the version that tools use now and the one they used before. The descriptions are made at the first question: they cost
/// about as much as the rest of the start.
/// </summary>
internal static class Reflection
{
    /// <param name="describe">The services as they are served; called at most once per version.</param>
    public static IEnumerable<ServerServiceDefinition> Bind(Func<IReadOnlyList<ServiceDescriptor>> describe) =>
    [
        V1.ServerReflection.BindService(new CurrentReflection(describe)),
        V1Alpha.ServerReflection.BindService(new FormerReflection(describe)),
    ];

    private sealed class CurrentReflection(Func<IReadOnlyList<ServiceDescriptor>> describe) : V1.ServerReflection.ServerReflectionBase
    {
        private readonly Lazy<ReflectionV1ServiceImpl> inner = new(() => new ReflectionV1ServiceImpl(describe()));

        public override Task ServerReflectionInfo(
            IAsyncStreamReader<V1.ServerReflectionRequest> requests, IServerStreamWriter<V1.ServerReflectionResponse> responses, ServerCallContext context) =>
            inner.Value.ServerReflectionInfo(requests, responses, context);
    }

    private sealed class FormerReflection(Func<IReadOnlyList<ServiceDescriptor>> describe) : V1Alpha.ServerReflection.ServerReflectionBase
    {
        private readonly Lazy<ReflectionServiceImpl> inner = new(() => new ReflectionServiceImpl(describe()));

        public override Task ServerReflectionInfo(
            IAsyncStreamReader<V1Alpha.ServerReflectionRequest> requests,
            IServerStreamWriter<V1Alpha.ServerReflectionResponse> responses,
            ServerCallContext context) =>
            inner.Value.ServerReflectionInfo(requests, responses, context);
    }
}

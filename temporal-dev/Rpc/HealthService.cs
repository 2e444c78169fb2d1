namespace SnapshotFlow.TemporalDev.Rpc;

/// <summary><c>grpc.health.v1.Health/Check</c>. Its messages are not public in the SDK, so the one answer there is goes out as bytes.</summary>
internal static class HealthService
{
    /// <summary>Field 1 (status) = 1 (SERVING). Source: grpc.health.v1, HealthCheckResponse.</summary>
    private static readonly byte[] Serving = [0x08, 0x01];

    private static readonly Marshaller<byte[]> Bytes = Marshallers.Create(value => value, value => value);

    public static ServerServiceDefinition Definition() => ServerServiceDefinition.CreateBuilder()
        .AddMethod(
            new Method<byte[], byte[]>(MethodType.Unary, "grpc.health.v1.Health", "Check", Bytes, Bytes),
            (UnaryServerMethod<byte[], byte[]>)((_, _) => Task.FromResult(Serving)))
        .Build();
}
